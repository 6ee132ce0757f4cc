import { register } from "./register.js";

/** The Function App, whose labels come from the cloud, from statistics or from nobody. */
register();
