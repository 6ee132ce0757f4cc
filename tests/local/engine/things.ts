import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { type EmbeddedStack, type Program, type StackOptions, startStack } from "../../../local/index.js";
import { CloudError, type Properties, type ResourceType, type Service } from "../../../local/kernel/service.js";

/** A made-up cloud of things, boxes that hold them, and everything that a test wants to see of what was done to them. */
export class Things implements Service {
  readonly name = "things";
  /** What was asked of the service, in order: `"create a"`. */
  readonly calls: string[] = [];
  /** What to do in the middle of a call: wait, or throw. */
  during: (call: string) => Promise<void> | void = () => {};
  /** Inputs as the service saw them, by logical name or id. */
  readonly seen = new Map<string, Properties>();
  /** Changes with every start, as ports do. */
  port = 1;

  readonly thing: ResourceType = {
    inputs: ["label", "size", "kind", "tags", "file", "nested.known", "list[].known", "holds", "password", "inBox"],
    replacedBy: ["kind", "label", "inBox"],
    named: { input: "label", maxLength: 40 },
    check: (inputs) => {
      if (inputs.size === "huge") throw new CloudError("InvalidSize", "The size huge is not allowed.");
      return { size: "medium", ...inputs };
    },
    create: async (inputs) => {
      await this.#call("create", inputs.label, inputs);
      return { id: `thing/${inputs.label}`, outputs: this.#outputs(inputs.label) };
    },
    update: async (id, inputs) => {
      await this.#call("update", inputs.label, inputs);
      return { revised: id };
    },
    delete: async ({ inputs }) => this.#call("delete", inputs.label),
    restore: async ({ inputs }) => {
      await this.#call("restore", inputs.label);
      return this.#outputs(inputs.label);
    },
  };

  /** Has no update, and no physical name. */
  readonly box: ResourceType = {
    inputs: ["color"],
    create: async (inputs) => {
      await this.#call("create", `box ${inputs.color}`, inputs);
      return { id: `box-${inputs.color}`, outputs: { lid: `${inputs.color} lid` } };
    },
    delete: async ({ inputs }) => this.#call("delete", `box ${inputs.color}`),
  };

  readonly resources = { "test:things/thing:Thing": this.thing, "test:things/box:Box": this.box };

  readonly functions = {
    "test:things/count:count": async ({ of }: Properties) => {
      if (of === "nothing") throw new CloudError("NothingToCount", "There is nothing to count.");
      return { count: 42, of };
    },
  };

  async #call(what: string, label: string, inputs?: Properties): Promise<void> {
    // Physical names end in a random suffix, which no test can foresee.
    const call = `${what} ${label.replace(/-[0-9a-f]{7}$/, "")}`;
    this.calls.push(call);
    if (inputs) this.seen.set(label.replace(/-[0-9a-f]{7}$/, ""), inputs);
    await this.during(call);
  }

  #outputs(label: string): Properties {
    return { address: `http://things:${this.port}/${label}`, arn: `arn:test:${label}` };
  }
}

export interface ThingArgs {
  label?: pulumi.Input<string>;
  size?: pulumi.Input<string>;
  kind?: pulumi.Input<string>;
  tags?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  file?: pulumi.Input<pulumi.asset.Asset | pulumi.asset.Archive>;
  nested?: pulumi.Input<Record<string, pulumi.Input<unknown>>>;
  list?: pulumi.Input<pulumi.Input<Record<string, unknown>>[]>;
  holds?: pulumi.Input<unknown>;
  password?: pulumi.Input<string>;
  inBox?: pulumi.Input<string>;
}

export class Thing extends pulumi.CustomResource {
  declare readonly label: pulumi.Output<string>;
  declare readonly size: pulumi.Output<string>;
  declare readonly address: pulumi.Output<string>;
  declare readonly arn: pulumi.Output<string>;
  declare readonly revised: pulumi.Output<string>;
  declare readonly holds: pulumi.Output<unknown>;
  declare readonly tags: pulumi.Output<Record<string, string>>;
  declare readonly password: pulumi.Output<string>;
  declare readonly file: pulumi.Output<pulumi.asset.Asset>;

  constructor(name: string, args: ThingArgs = {}, opts?: pulumi.CustomResourceOptions) {
    const outputs = { label: undefined, size: undefined, address: undefined, arn: undefined, revised: undefined, holds: undefined };
    super("test:things/thing:Thing", name, { ...outputs, tags: undefined, password: undefined, file: undefined, ...args }, opts);
  }

  static get(name: string, id: pulumi.Input<string>): Thing {
    return new Thing(name, {}, { id });
  }
}

export class Box extends pulumi.CustomResource {
  declare readonly lid: pulumi.Output<string>;
  constructor(name: string, args: { color: pulumi.Input<string> }, opts?: pulumi.CustomResourceOptions) {
    super("test:things/box:Box", name, { lid: undefined, ...args }, opts);
  }
}

export class Group extends pulumi.ComponentResource {
  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super("test:Group", name, {}, opts);
    this.registerOutputs({ of: name });
  }
}

/** Stacks of made-up things for one test, and the folder that they may be kept in; everything ends with {@link Bench.clear}. */
export class Bench {
  things = new Things();
  #folder: string | undefined;
  readonly #stacks: EmbeddedStack[] = [];

  async start(program: Program, options: Partial<StackOptions> = {}): Promise<EmbeddedStack> {
    const common = { project: "bench", stack: "test", config: {}, clouds: [], services: [this.things] };
    const stack = await startStack({ ...common, program, ...options });
    this.#stacks.push(stack);
    return stack;
  }

  /** Starts, and stops, with kept state; the next one is a new start, with a new service. */
  async kept(program: Program, options: Partial<StackOptions> = {}): Promise<EmbeddedStack> {
    this.things = Object.assign(new Things(), { during: this.things.during, port: this.things.port + 1 });
    const stack = await this.start(program, { dataFolder: await this.folder(), ...options });
    await stack.stop();
    return stack;
  }

  async folder(): Promise<string> {
    this.#folder ??= await mkdtemp(join(tmpdir(), "engine-test-"));
    return this.#folder;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#stacks.splice(0).map((stack) => stack.stop()));
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
    this.things = new Things();
  }
}
