import assert from "node:assert/strict";
import { startStack } from "../../local/index.js";
import program from "../../stacks/index.js";
import { type RecordedResource, recorded } from "./graph.js";
import { readRecording, recordings, settingsOf } from "./recordings.js";

const byUrn = (graph: readonly RecordedResource[]) => new Map(graph.map((resource) => [resource.urn, resource]));

describe("The embedded engine makes of a program what Pulumi's CLI makes of it", function () {
  this.timeout(180_000);

  for (const name of recordings()) {
    describe(`stack ${name}`, () => {
      let theirs: RecordedResource[];
      let ours: RecordedResource[];

      before(async () => {
        theirs = await readRecording(name);
        const stack = await startStack({ program, ...(await settingsOf(name)) });
        ours = recorded(stack.resources());
        await stack.stop();
      });

      it("the same resources, with the same URNs", () => {
        assert.deepEqual(
          ours.map(({ urn }) => urn),
          theirs.map(({ urn }) => urn),
          HINT,
        );
      });

      it("with the same inputs, dependencies, options and outputs", () => {
        const own = byUrn(ours);
        // One at a time: the first that differs says enough.
        for (const resource of theirs) assert.deepEqual(own.get(resource.urn), resource);
      });

      it("and the same is secret", () => {
        const secrets = (graph: readonly RecordedResource[]) =>
          graph.flatMap(({ urn, outputs }) =>
            Object.entries(outputs as object).flatMap(([name, value]) => (value === "(secret)" ? `${urn} ${name}` : [])),
          );
        assert.deepEqual(secrets(ours), secrets(theirs));
        assert.ok(secrets(ours).length > 0, "no stack of ours is without a secret");
      });
    });
  }
});

describe("The stack dev, which `npm start` runs", () => {
  it("is the stack azure by another name, so that what the CLI makes of that holds for it", async () => {
    const [dev, azure] = [await settingsOf("dev"), await settingsOf("azure")];
    assert.deepEqual(dev, { ...azure, stack: "dev" });
  });
});

const HINT =
  "What is declared is not what was recorded. If that is meant: `npm run graphs`, with Pulumi's CLI on PATH, records it anew; read the difference.";
