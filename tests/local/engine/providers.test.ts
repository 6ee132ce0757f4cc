import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import type { Properties, ResourceType, Service } from "../../../local/kernel/service.js";
import { Bench } from "./things.js";

/** Something of AWS, and something of it that is in no region. */
const jar: ResourceType = {
  inputs: ["tags", "size"],
  create: async ({ size = 1 }) => ({ id: `jar-${size}`, outputs: { arn: `arn:aws:jars:::jar/${size}` } }),
  update: async () => ({}),
  delete: async () => {},
};
const aws: Service = { name: "jars", resources: { "aws:jars/jar:Jar": jar, "aws:iam/lid:Lid": { ...jar, inputs: ["size"] } } };

class Aws extends pulumi.CustomResource {
  declare readonly tagsAll: pulumi.Output<Record<string, string>>;
  declare readonly region: pulumi.Output<string>;
  constructor(type: "jars/jar:Jar" | "iam/lid:Lid", name: string, args: Properties = {}, opts?: pulumi.CustomResourceOptions) {
    super(`aws:${type}`, name, { tagsAll: undefined, region: undefined, ...args }, opts);
  }
}

class AwsProvider extends pulumi.ProviderResource {
  constructor(name: string, args: Properties) {
    super("aws", name, args);
  }
}

describe("Providers", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  const config = { "aws:region": "eu-west-1", "aws:defaultTags": '{"tags":{"team":"photos"}}' };
  const services = [aws];

  it("give what every resource of AWS has: its region, and all its tags with the default ones", async () => {
    const program = (tags: Record<string, string>) => async () => {
      const made = new Aws("jars/jar:Jar", "jar", { tags });
      const lid = new Aws("iam/lid:Lid", "lid");
      return { tagsAll: made.tagsAll, region: made.region, lid: [lid.region, lid.tagsAll] };
    };
    const first = await bench.kept(program({ of: "first" }), { config, services });
    assert.deepEqual(first.outputs, { tagsAll: { team: "photos", of: "first" }, region: "eu-west-1", lid: [null, null] });
    const second = await bench.kept(program({ of: "second" }), { config, services });
    assert.deepEqual(second.outputs.tagsAll, { team: "photos", of: "second" });
    assert.equal(second.summary.update, 1);
  });

  it("may be declared, with a configuration of their own, and are the same after a restart", async () => {
    const program = async () => {
      const provider = new AwsProvider("own", { region: "eu-west-1", defaultTags: { tags: { team: "own" } } });
      return { tagsAll: new Aws("jars/jar:Jar", "jar", {}, { provider }).tagsAll };
    };
    const first = await bench.kept(program, { config, services });
    assert.deepEqual(first.outputs.tagsAll, { team: "own" });
    assert.equal((await bench.kept(program, { config, services })).summary.same, 2);
    const emptied = await bench.kept(async () => {}, { config, services });
    assert.equal(emptied.summary.delete, 2);
  });

  it("refuse another region than the cloud's, and what they could not honour", async () => {
    const program = (args: Properties) => async () => void new Aws("jars/jar:Jar", "jar", {}, { provider: new AwsProvider("own", args) });
    await assert.rejects(
      bench.start(program({ region: "us-east-2" }), { config, services }),
      /"own": A provider of aws is for the region "us-east-2", and the embedded cloud has one region: eu-west-1/,
    );
    await assert.rejects(
      bench.start(program({ ignoreTags: {} }), { config, services }),
      /does not honour this configuration of aws: ignoreTags/,
    );
    await assert.rejects(
      bench.start(async () => void new Aws("jars/jar:Jar", "jar", { region: "us-east-2" }), { config, services }),
      /"jar": region: It is "us-east-2", and the embedded cloud has one region: eu-west-1/,
    );
  });

  it("are not two for one type", async () => {
    const twice = [aws, { ...aws, name: "jars-too" }];
    await assert.rejects(
      bench.start(async () => void new Aws("jars/jar:Jar", "jar"), { services: twice }),
      /Two services claim aws:jars\/jar:Jar; one of them is "jars-too"/,
    );
  });
});
