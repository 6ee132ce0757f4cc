import { log, shown } from "./log.js";

/**
 * Runs a container: starts it, waits for the cluster's word that it is to end, and ends it in order. A second word ends it at once.
 *
 * @param start What the container does. @returns how it ends.
 */
export async function runContainer(start: () => Promise<() => Promise<void>>): Promise<void> {
  const told = new Promise<NodeJS.Signals>((resolve) => {
    let words = 0;
    const hear = (signal: NodeJS.Signals) => (words++ === 0 ? resolve(signal) : process.exit(1));
    process.on("SIGTERM", hear).on("SIGINT", hear);
  });
  try {
    const end = await start();
    log("info", "ending", { signal: await told });
    await end();
    log("info", "ended");
    process.exit(0);
  } catch (error) {
    log("error", "the container has failed", { error: shown(error) });
    process.exit(1);
  }
}
