import { endTargets } from "./conformance/target.js";

/** Nothing that a test run started outlives it. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await endTargets();
  },
};
