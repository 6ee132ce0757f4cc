import assert from "node:assert/strict";
import program from "../../stacks/index.js";
import { type Declared, recorded } from "../declared.js";

/** Declares what the stack declares with this config. */
const stack = (config: Record<string, string> = {}): Promise<Declared[]> =>
  recorded(program, { config: { "image-pipeline:cloud": "azure", "azure-native:location": "northeurope", ...config } });

describe("The stack on Azure", () => {
  it("takes its region and Azure's own options from the config", async () => {
    const resources = await stack({
      "image-pipeline:container": "photos-in",
      "image-pipeline:alwaysReady": "0",
      "image-pipeline:maximumInstances": "10",
      "image-pipeline:tagger": "none",
      "image-pipeline:sqlAdministrator": '{"login":"dba","sid":"aaaaaaaa-0000-4000-8000-00000000000f","principalType":"Group"}',
    });
    const inputs = (name: string) => resources.find((resource) => resource.name === name)?.inputs;
    assert.equal(inputs("photos-group")?.location, "northeurope");
    assert.equal(inputs("photos-images-uploads")?.containerName, "photos-in");
    assert.deepEqual(inputs("photos-app-app")?.functionAppConfig.scaleAndConcurrency.alwaysReady, []);
    assert.equal(inputs("photos-app-app")?.functionAppConfig.scaleAndConcurrency.maximumInstanceCount, 10);
    assert.equal(inputs("photos-records-server")?.administrators.principalType, "Group");
  });

  it("refuses keys of the other cloud, and numbers that are none", async () => {
    await assert.rejects(stack({ "image-pipeline:workflow": "express" }), { code: "INVALID_ARGUMENT", message: /image-pipeline:workflow/ });
    await assert.rejects(stack({ "image-pipeline:alwaysReady": "many" }), {
      code: "INVALID_ARGUMENT",
      message: /azure\.alwaysReady is NaN/,
    });
  });
});
