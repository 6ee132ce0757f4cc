import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import program from "../../stacks/index.js";
import { type Declared, recorded } from "../declared.js";

const EVERYTHING = {
  "image-pipeline:notifyEmail": "ops@example.org",
  "image-pipeline:logRetention": "1000 days",
  "image-pipeline:origins": '["https://app.example.org"]',
  "image-pipeline:recoveryDays": "7",
};
const STACKS: Readonly<Record<string, Record<string, string>>> = {
  aws: { "image-pipeline:cloud": "aws", "aws:region": "eu-west-1" },
  azure: { "image-pipeline:cloud": "azure", "azure-native:location": "westeurope" },
  "azure-kubernetes": { "image-pipeline:cloud": "azure", "image-pipeline:hosting": "kubernetes", "azure-native:location": "westeurope" },
};

/** Versions of Kubernetes that AKS supports, and until when (its "Supported Kubernetes versions", November 2026). */
const KUBERNETES: Readonly<Record<string, string>> = { "1.35": "2027-03-31" };

/** What the SDK asks for by previews of Azure's APIs, as it has no other. */
const PREVIEWS = [
  "azure-native:containerregistry:Registry",
  "azure-native:monitor:ActionGroup",
  "azure-native:monitor:DiagnosticSetting",
  "azure-native:monitor:ScheduledQueryRule",
];

/**
 * Runtimes that can be had, and until when they are supported: Lambda's and Functions' own lists, and for images Node.js's release schedule (November
 * 2026).
 */
const RUNTIMES: Readonly<Record<string, string>> = {
  "nodejs24.x": "2028-04-30",
  "nodejs22.x": "2027-04-30",
  "node 22": "2027-04-30",
  "image of node 24": "2028-04-30",
};

/** What is supported today by its list. */
function assertSupported(what: string, until: Readonly<Record<string, string>>): void {
  assert.ok(what in until, `${what} is not among ${Object.keys(until).join(", ")}`);
  assert.ok(new Date().toISOString().slice(0, 10) <= (until[what] ?? ""), `${what} was supported until ${until[what]}`);
}

/** `image of node 24`, of each image that the Dockerfile of the pipeline on Kubernetes begins with. */
function imagesOf(dockerfile: string): string[] {
  const bases = [...dockerfile.matchAll(/^ARG (?:INSTALLER|RUNTIME)=(.+)$/gm)].map(([, base]) => base as string);
  return bases.map((base) => `image of node ${/node(?:js)?:?(\d+)/.exec(base)?.[1]}`);
}

/** Where a type's class is declared in the SDK: `aws:sqs/queue:Queue`, `azure-native:storage:Queue`. */
function declarationOf(type: string): ts.SourceFile | undefined {
  const [pkg, module = "", name = ""] = type.split(":");
  if (pkg !== "aws" && pkg !== "azure-native") return undefined;
  const folder = join("node_modules", "@pulumi", pkg, module.split("/")[0] ?? "");
  const file = readdirSync(folder).find((each) => each.toLowerCase() === `${name.toLowerCase()}.d.ts`);
  assert.ok(file, `${type} is declared nowhere in ${folder}`);
  return ts.createSourceFile(file, readFileSync(join(folder, file), "utf8"), ts.ScriptTarget.Latest, true);
}

const isDeprecated = (node: ts.Node): boolean => ts.getJSDocDeprecatedTag(node) !== undefined;

/** What the SDK calls deprecated of a resource as it is declared: its class, or inputs. */
function deprecated({ type, inputs }: Declared, source: ts.SourceFile): string[] {
  const found: string[] = [];
  for (const statement of source.statements) {
    if (ts.isClassDeclaration(statement) && isDeprecated(statement)) found.push(type);
    if (!ts.isInterfaceDeclaration(statement) || !statement.name.text.endsWith("Args")) continue;
    for (const member of statement.members) {
      const name = member.name?.getText() ?? "";
      if (name in inputs && isDeprecated(member)) found.push(`${type} ${name}`);
    }
  }
  return found;
}

/** `"2024-10-01-preview"` → its API is a preview of Azure's. */
const apiVersion = (source: ts.SourceFile): string => /Uses Azure REST API version ([\w-]+)/.exec(source.text)?.[1] ?? "";

for (const [stack, config] of Object.entries(STACKS)) {
  describe(`What stack ${stack} declares`, () => {
    let resources: Declared[];
    before(async () => {
      resources = await recorded(program, { config: { ...config, ...EVERYTHING } });
    });

    it("is nothing that its SDK calls deprecated", () => {
      assert.ok(resources.length > 40);
      const found = resources.flatMap((resource) => {
        const source = declarationOf(resource.type);
        return source ? deprecated(resource, source) : [];
      });
      assert.deepEqual(found, []);
    });

    it("is asked for by stable APIs, but for those that the SDK has as previews only", () => {
      const previews = resources.filter(({ type }) => {
        const source = declarationOf(type);
        return source !== undefined && apiVersion(source).endsWith("-preview");
      });
      const declared = new Set(resources.map(({ type }) => type));
      assert.deepEqual(
        [...new Set(previews.map(({ type }) => type))].sort(),
        PREVIEWS.filter((type) => declared.has(type)),
      );
    });

    if (stack === "azure-kubernetes") {
      it("runs on a version of Kubernetes that AKS supports", () => {
        const cluster = resources.find(({ type }) => type === "azure-native:containerservice:ManagedCluster");
        assertSupported(cluster?.inputs.kubernetesVersion, KUBERNETES);
      });

      it("runs in images whose Node.js is supported", () => {
        const images = imagesOf(readFileSync("functions/container/Dockerfile", "utf8"));
        assert.equal(images.length, 2);
        for (const image of images) assertSupported(image, RUNTIMES);
      });
      return;
    }

    it("runs on runtimes that are supported", () => {
      const runtimes = resources.flatMap(({ type, inputs }) => {
        if (type === "aws:lambda/function:Function") return [inputs.runtime];
        if (type !== "azure-native:web:WebApp") return [];
        const { name, version } = inputs.functionAppConfig.runtime;
        return [`${name} ${version}`];
      });
      assert.ok(runtimes.length > 0);
      for (const runtime of runtimes) assertSupported(runtime, RUNTIMES);
    });
  });
}

describe("Support", () => {
  it("has an end, and is looked for in what an image begins with", () => {
    assertSupported("node 1", { "node 1": "9999-12-31" });
    assert.throws(() => assertSupported("node 1", { "node 1": "2020-01-01" }), /node 1 was supported until 2020-01-01/);
    assert.throws(() => assertSupported("node 2", { "node 1": "9999-12-31" }), /node 2 is not among node 1/);
    const dockerfile = "ARG INSTALLER=node:18-slim\nARG RUNTIME=gcr.io/distroless/nodejs20-debian12:nonroot\nFROM node:16\n";
    assert.deepEqual(imagesOf(dockerfile), ["image of node 18", "image of node 20"]);
  });
});

describe("Deprecation", () => {
  it("is found: of a class and of an input", () => {
    const source = ts.createSourceFile(
      "a.d.ts",
      "/** @deprecated by b */\nexport declare class A {}\nexport interface AArgs {\n/** @deprecated */\nold?: string;\nfresh?: string;\n}",
      ts.ScriptTarget.Latest,
      true,
    );
    const resource = { type: "aws:a/a:A", inputs: { old: "x", fresh: "y" } } as unknown as Declared;
    assert.deepEqual(deprecated(resource, source), ["aws:a/a:A", "aws:a/a:A old"]);
  });
});
