import tagger from "virtual:tagger";
import { register } from "./register.js";

/** The Function App, whose labels come from a team's own tagger. */
register(tagger);
