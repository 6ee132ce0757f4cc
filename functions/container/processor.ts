import { runProcessor } from "./run-processor.js";

/** The processor, whose labels come from the cloud, from statistics or from nobody. */
await runProcessor();
