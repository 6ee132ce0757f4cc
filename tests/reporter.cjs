// Mocha's spec reporter, with one closing line that machines can read.
const { reporters, Runner } = require("mocha");

module.exports = class Spec extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures, pending } = this.stats;
      // After Spec's own epilogue, which listens to the same event.
      setImmediate(() => console.log(`${passes} passed, ${failures} failed, ${pending} skipped`));
    });
  }
};
