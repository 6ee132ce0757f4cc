import assert from "node:assert/strict";
import * as sqs from "@pulumi/aws/sqs/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform, transformed } from "../../../components/core/component.js";
import { declared, recorded } from "../../declared.js";

class Pair extends Component<"queue" | "spareQueue"> {
  constructor(name: string, transform?: { queue?: Transform<sqs.QueueArgs>; spareQueue?: Transform<sqs.QueueArgs> }) {
    super("test:Pair", name, { children: ["queue", "spareQueue"], transform });
    this.create("queue", sqs.Queue, { delaySeconds: 1, tags: { a: "1", b: "1" } });
    this.create("spareQueue", sqs.Queue, { delaySeconds: 2 }, { retainOnDelete: true });
  }
}

describe("A component", () => {
  it("names its children after itself, and is their parent", async () => {
    const children = await recorded(() => new Pair("pair"));
    assert.deepEqual(
      children.map(({ name, parent, retainOnDelete }) => [name, parent, retainOnDelete]),
      [
        ["pair-queue", "pair", false],
        ["pair-spare-queue", "pair", true],
      ],
    );
  });

  it("merges a transform deeply into the child that it names, and into no other", async () => {
    const { queue } = await declared(() => new Pair("pair", { queue: { tags: { b: "2", c: "2" } } }));
    assert.deepEqual(queue, {
      "pair-queue": { delaySeconds: 1, tags: { a: "1", b: "2", c: "2" } },
      "pair-spare-queue": { delaySeconds: 2 },
    });
  });

  it("lets a transform edit the arguments, or give others", async () => {
    const { queue } = await declared(
      () =>
        new Pair("pair", {
          queue: (args) => {
            args.delaySeconds = 5;
          },
          spareQueue: (args) => ({ ...args, fifoQueue: true }),
        }),
    );
    assert.deepEqual(queue["pair-queue"].delaySeconds, 5);
    assert.deepEqual(queue["pair-spare-queue"], { delaySeconds: 2, fifoQueue: true });
  });

  it("refuses a transform for a child that it does not have, before anything is declared", async () => {
    const pair = () => new Pair("pair", { topic: {} } as never);
    await assert.rejects(recorded(pair), {
      code: "UNKNOWN_CHILD",
      message: "pair: transform.topic names no child: the children are queue, spareQueue.",
    });
  });
});

describe("A transform", () => {
  it("leaves the arguments that it is merged over as they were", () => {
    const args = { tags: { a: "1" } };
    assert.deepEqual(transformed(args, { tags: { b: "2" } } as object), { tags: { a: "1", b: "2" } });
    assert.deepEqual(args, { tags: { a: "1" } });
  });

  it("replaces outputs and lists as a whole", () => {
    const [before, after] = [pulumi.output({ a: 1 }), pulumi.output({ b: 2 })];
    assert.equal(transformed<{ value: unknown }>({ value: before }, { value: after }).value, after);
    assert.deepEqual(transformed({ list: [1, 2, 3] }, { list: [4] }), { list: [4] });
  });
});
