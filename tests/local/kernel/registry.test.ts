import assert from "node:assert/strict";
import { ResourceRegistry } from "../../../local/kernel/registry.js";
import type { Properties, Resource } from "../../../local/kernel/service.js";

const resource = (type: string, id: string, outputs: Properties = {}, inputs: Properties = {}): Resource => ({
  urn: `urn:${type}::${id}`,
  type,
  name: id,
  id,
  inputs,
  outputs,
});

describe("The registry", () => {
  it("finds resources by type and id, by type, and by ARN", () => {
    const registry = new ResourceRegistry();
    const queue = resource("queue", "a", { arn: "arn:a" });
    registry.add(queue);
    registry.add(resource("topic", "a"));
    assert.equal(registry.get("queue", "a"), queue);
    assert.equal(registry.byArn("arn:a"), queue);
    assert.deepEqual(registry.all("queue"), [queue]);
    assert.deepEqual(registry.all("rule"), []);
  });

  it("puts a changed resource in the place of the old one", () => {
    const registry = new ResourceRegistry();
    registry.add(resource("queue", "a", { arn: "arn:old" }));
    const changed = resource("queue", "a", { arn: "arn:new" });
    registry.add(changed);
    assert.equal(registry.byArn("arn:old"), undefined);
    assert.equal(registry.byArn("arn:new"), changed);
    registry.remove(changed);
    assert.equal(registry.byArn("arn:new"), undefined);
    assert.deepEqual(registry.all("queue"), []);
  });

  it("does not take a rule's target for what the target's ARN names", () => {
    const registry = new ResourceRegistry();
    const target = resource("target", "t", { arn: "arn:function" }, { arn: "arn:function" });
    registry.add(target);
    assert.equal(registry.byArn("arn:function"), undefined);
    const lambda = resource("function", "f", { arn: "arn:function" });
    registry.add(lambda);
    registry.remove(target);
    assert.equal(registry.byArn("arn:function"), lambda);
  });
});
