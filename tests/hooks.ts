import { endTargets } from "./conformance/target.js";

/** Milliseconds that a run may take to end once its last test has. */
const ENDING = 30_000;

/** Nothing that a test run started outlives it. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await endTargets();
    // Does not keep the process alive; fires only where something else does, which somebody forgot to end.
    setTimeout(() => {
      console.error(`The tests have ended and their process has not. It still has: ${process.getActiveResourcesInfo().join(", ")}`);
      process.exit(1);
    }, ENDING).unref();
  },
};
