import tagger from "virtual:tagger";
import { runProcessor } from "./run-processor.js";

/** The processor, whose labels come from a team's own tagger. */
await runProcessor(tagger);
