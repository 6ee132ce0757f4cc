import { log, shown } from "./log.js";

/**
 * Does something every so many seconds, never twice at a time, for as long as the process runs; what fails is logged, and done again the next
 * time. Replicas that were started together do not do it together.
 *
 * @returns ends it, once what is under way is done.
 */
export function repeatedly(seconds: number, what: string, work: () => Promise<void>): () => Promise<void> {
  let ended = false;
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(
      () => {
        running = work()
          .catch((error) => log("error", `${what} failed`, { error: shown(error) }))
          .then(() => {
            if (!ended) next();
          });
      },
      seconds * 1_000 * (0.8 + 0.4 * Math.random()),
    );
  };
  next();
  return () => {
    ended = true;
    clearTimeout(timer);
    return running;
  };
}
