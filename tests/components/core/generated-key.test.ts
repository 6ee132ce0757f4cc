import assert from "node:assert/strict";
import requireFromString from "require-from-string";
import { GeneratedKey } from "../../../components/core/generated-key.js";
import { recorded } from "../../declared.js";

describe("GeneratedKey", () => {
  /** The provider as Pulumi keeps and runs it: from its text, with nothing of this program around it. */
  let provider: any;

  before(async () => {
    const [resource] = await recorded(() => new GeneratedKey("key"));
    provider = requireFromString(resource?.inputs.__provider).handler();
  });

  it("is declared with 32 bytes, and a secret output", async () => {
    const [resource] = await recorded(() => new GeneratedKey("key"));
    assert.equal(resource?.type, "pulumi-nodejs:dynamic:Resource");
    assert.equal(resource?.inputs.bytes, 32);
    assert.deepEqual(resource?.secretOutputs, ["key"]);
  });

  it("makes 32 random bytes as base64url, other ones each time", async () => {
    const [one, other] = [await provider.create({ bytes: 32 }), await provider.create({ bytes: 32 })];
    assert.match(one.outs.key, /^[A-Za-z0-9_-]{43}$/);
    assert.equal(Buffer.from(one.outs.key, "base64url").length, 32);
    assert.notEqual(one.outs.key, other.outs.key);
    assert.notEqual(one.id, other.id);
  });

  it("keeps the key through updates and refreshes", async () => {
    const { id, outs } = await provider.create({ bytes: 32 });
    assert.deepEqual(await provider.update(id, outs, { bytes: 32 }), { outs });
    assert.deepEqual(await provider.read(id, outs), { id, props: outs });
    assert.deepEqual(await provider.diff(id, outs, { bytes: 32 }), { changes: false, replaces: [] });
    await provider.delete(id, outs);
  });

  it("makes a new one where another length is asked for", async () => {
    assert.deepEqual(await provider.diff("id", { bytes: 32, key: "k" }, { bytes: 48 }), { changes: true, replaces: ["bytes"] });
  });

  it("refuses lengths that are no key", async () => {
    for (const bytes of [0, 15, 65, 32.5, Number.NaN]) {
      const { failures } = await provider.check({}, { bytes });
      assert.deepEqual(failures, [{ property: "bytes", reason: `bytes is ${bytes}: it must be between 16 and 64.` }]);
    }
    assert.deepEqual((await provider.check({}, { bytes: 32 })).failures, []);
  });
});
