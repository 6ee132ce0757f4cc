import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { Bench, Thing } from "./things.js";

/** Writes down what is done, where a test can see it: it is serialised, so it shares nothing else with the test. */
interface Journal {
  dynamicJournal: string[];
}

const journal = (): string[] => {
  const shared = globalThis as unknown as Journal;
  shared.dynamicJournal ??= [];
  return shared.dynamicJournal;
};

const provider: pulumi.dynamic.ResourceProvider = {
  async check(_olds, news) {
    if (news.text === "bad") return { inputs: news, failures: [{ property: "text", reason: "It is bad." }] };
    return { inputs: { ...news, checked: true } };
  },
  async diff(_id, olds, news) {
    return { changes: olds.text !== news.text || olds.place !== news.place, replaces: olds.place === news.place ? [] : ["place"] };
  },
  async create(inputs) {
    (globalThis as unknown as Journal).dynamicJournal.push(`create ${inputs.place}`);
    return { id: `at-${inputs.place}`, outs: { ...inputs, length: inputs.text.length } };
  },
  async update(id, olds, news) {
    (globalThis as unknown as Journal).dynamicJournal.push(`update ${id} from ${olds.text} to ${news.text}`);
    return { outs: { ...news, length: news.text.length } };
  },
  async delete(id, props) {
    (globalThis as unknown as Journal).dynamicJournal.push(`delete ${id} ${props.text}`);
  },
};

const fixed: pulumi.dynamic.ResourceProvider = {
  async create(inputs) {
    return { id: "fixed", outs: { ...inputs, made: "once" } };
  },
};

class Note extends pulumi.dynamic.Resource {
  declare readonly text: pulumi.Output<string>;
  declare readonly length: pulumi.Output<number>;
  declare readonly made: pulumi.Output<string>;
  constructor(
    name: string,
    args: { text: pulumi.Input<string>; place?: string },
    opts?: pulumi.CustomResourceOptions & { by?: pulumi.dynamic.ResourceProvider },
  ) {
    super(opts?.by ?? provider, name, { length: undefined, made: undefined, ...args }, opts);
  }
}

describe("Dynamic resources", () => {
  const bench = new Bench();
  beforeEach(() => void journal().splice(0));
  afterEach(() => bench.clear());

  const note =
    (text: pulumi.Input<string>, place = "desk") =>
    async () => {
      const made = new Note("note", { text, place });
      return { id: made.id, length: made.length, text: made.text };
    };

  it("run through the provider that they bring along, whose outputs flow on", async () => {
    const { outputs } = await bench.start(async () => {
      const made = new Note("note", { text: "hello", place: "desk" });
      return { id: made.id, length: made.length, size: new Thing("thing", { size: pulumi.interpolate`${made.length}` }).size };
    });
    assert.deepEqual(outputs, { id: "at-desk", length: 5, size: "5" });
  });

  it("are checked, compared, updated, replaced and deleted by it", async () => {
    await bench.kept(note("hello"));
    assert.equal((await bench.kept(note("hello"))).summary.same, 1);
    assert.equal((await bench.kept(note("goodbye"))).outputs.length, 7);
    assert.equal((await bench.kept(note("goodbye", "door"))).outputs.id, "at-door");
    await bench.kept(async () => {});
    assert.deepEqual(journal(), [
      "create desk",
      "update at-desk from hello to goodbye",
      "create door",
      "delete at-desk goodbye",
      "delete at-door goodbye",
    ]);
    await assert.rejects(bench.start(note("bad")), /"note": text: It is bad\./);
  });

  it("are given secrets in the clear, and what was secret comes back as a secret", async () => {
    const { outputs, secretOutputs } = await bench.start(note(pulumi.secret("hunter2")));
    assert.deepEqual(outputs, { id: "at-desk", length: 7, text: "hunter2" });
    assert.deepEqual([...secretOutputs], ["text"]);
  });

  it("keep their outputs when there is no update, and say that a real deployment would not", async () => {
    const program = (text: string) => async () => {
      const made = new Note("note", { text }, { by: fixed });
      return { text: made.text, made: made.made };
    };
    await bench.kept(program("one"));
    const warnings: string[] = [];
    const onLog = (severity: string, message: string) => void (severity === "warning" && warnings.push(message));
    const { outputs, summary } = await bench.kept(program("two"), { onLog });
    assert.deepEqual(outputs, { text: "two", made: "once" });
    assert.equal(summary.update, 1);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /no update\(\): a real deployment would lose its outputs/);
  });

  it("name the resource when they fail", async () => {
    const failing: pulumi.dynamic.ResourceProvider = {
      async create() {
        throw new Error("no ink");
      },
    };
    await assert.rejects(
      bench.start(async () => void new Note("note", { text: "x" }, { by: failing })),
      /pulumi-nodejs:dynamic:Resource "note": no ink/,
    );
  });
});
