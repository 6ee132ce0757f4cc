import assert from "node:assert/strict";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/aws/image-pipeline.js";
import { ExecutionEnvironment } from "../../../local/services/aws/lambda/environment.js";
import { type Declared, recorded } from "../../declared.js";
import * as photos from "../../photos.js";
import { called } from "../called.js";
import { check, type Opened, opened, unpacked } from "../opened.js";

const KEY = "uploads/photo.jpg";
const event = (type: string, key: string) => ({
  "detail-type": type,
  time: "2026-11-20T12:00:00Z",
  detail: { bucket: { name: "photos-uploads-bucket" }, object: { key, size: 5, etag: "e", sequencer: "0055" } },
});

/** As much of AWS as one event of each handler needs: one photo, and tables in which nothing is. */
class Aws {
  photo = Buffer.alloc(0);
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response)).listen(0, "127.0.0.1");
  }

  async start(): Promise<string> {
    this.photo = Buffer.from(await photos.jpeg(600, 300));
    if (!this.#server.listening) await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume().on("end", () => {
      const operation = String(request.headers["x-amz-target"] ?? "").split(".")[1];
      if (operation !== undefined) {
        const answer = { Query: { Items: [], Count: 0 }, BatchWriteItem: { UnprocessedItems: {} } }[operation] ?? {};
        return response.writeHead(200, { "content-type": "application/x-amz-json-1.0" }).end(JSON.stringify(answer));
      }
      // What is to be deleted: nothing is left of it.
      if (request.method === "POST") return response.end("<DeleteResult/>");
      if (request.url?.includes("list-type=2")) return response.end("<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>");
      if (request.method === "PUT") return response.writeHead(200, { etag: '"e"' }).end();
      if (request.method === "DELETE") return response.writeHead(204).end();
      const isThere = /^\/photos-(uploads-bucket\/uploads\/photo|thumbnails-bucket\/labels\/\w+)\.jpg/.test(request.url ?? "");
      if (!isThere) return response.writeHead(404).end("<Error><Code>NoSuchKey</Code></Error>");
      const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
      const [begin, end] = [Number(from ?? 0), Math.min(to ? Number(to) : this.photo.length - 1, this.photo.length - 1)];
      response.writeHead(from === undefined ? 200 : 206, {
        etag: '"e"',
        "content-type": "image/jpeg",
        "content-length": end - begin + 1,
        "last-modified": new Date(0).toUTCString(),
        ...(from !== undefined && { "content-range": `bytes ${begin}-${end}/${this.photo.length}` }),
      });
      response.end(request.method === "HEAD" ? undefined : this.photo.subarray(begin, end + 1));
    });
  }
}

/** Modules that are a handler's: no package has two of them. */
async function handlers(): Promise<string[]> {
  const files = (await readdir("functions/aws")).map((file) => `functions/aws/${file}`);
  const sources = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return files.filter((_, index) => /^export (async )?(function|const) handler\b/m.test(sources[index] ?? ""));
}

describe("The package of a handler on Lambda", function () {
  this.timeout(60_000);
  const aws = new Aws();
  let endpoint: string;
  let entries: string[];
  const packages = new Map<string, { declared: Declared; opened: Opened }>();

  const declare = async (args: ImagePipelineArgs, only = /./) => {
    const resources = await recorded(() => new ImagePipeline("photos", args));
    for (const { type, name } of resources) {
      if (type !== "aws:lambda/function:Function" || !only.test(name)) continue;
      const declared = called(resources, name);
      packages.set(args.tagger ? `${name} (${args.tagger})` : name, { declared, opened: await opened(await declared.inputs.code.path) });
    }
  };
  before(async () => {
    endpoint = await aws.start();
    entries = await handlers();
    await declare({});
    await declare({ tagger: "statistics" }, /detect-labels/);
    await declare({ tagger: "./examples/taggers/shape.ts" }, /detect-labels/);
  });
  after(() => aws.stop());

  /** What it returns for one event, in a process that has nothing in its environment but what is declared, and what Lambda itself puts there. */
  const handled = async (name: string, event: unknown): Promise<any> => {
    const { declared, opened } = packages.get(name) as { declared: Declared; opened: Opened };
    const { root, remove } = await unpacked(opened);
    const log: string[] = [];
    const environment = await ExecutionEnvironment.start({
      functionName: name,
      functionArn: `arn:aws:lambda:eu-west-1:123456789012:function:${name}`,
      root,
      handler: declared.inputs.handler,
      memorySize: declared.inputs.memorySize,
      timeout: 20,
      variables: {
        ...declared.inputs.environment.variables,
        _HANDLER: declared.inputs.handler,
        LAMBDA_TASK_ROOT: root,
        AWS_REGION: "eu-west-1",
        AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
        AWS_SECRET_ACCESS_KEY: "secret",
        AWS_ENDPOINT_URL: endpoint,
      },
      binariesOf: fileURLToPath(import.meta.url),
      traced: false,
      onLog: (line) => log.push(line),
      onBinary: () => {},
    });
    try {
      const { status, payload } = await environment.run({ requestId: "one", event: JSON.stringify(event) });
      assert.equal(status, "success", `${payload}\n${log.join("\n")}`);
      return JSON.parse(payload);
    } finally {
      environment.kill();
      await environment.ended;
      await remove();
    }
  };

  it("is there for each of them", () => {
    assert.deepEqual([...packages.keys()].map((name) => name.replace(/^photos-(.*)-function/, "$1")).sort(), [
      "api",
      "clean-up",
      "sweep",
      "workflow-detect-labels (./examples/taggers/shape.ts)",
      "workflow-detect-labels (statistics)",
      "workflow-extract-metadata",
      "workflow-generate-thumbnails",
      "workflow-record-failure",
      "workflow-store-results",
      "workflow-validate",
    ]);
  });

  it("is small, the same for everybody, and free of other platforms' binaries and of what is for development", async () => {
    for (const [name, { declared, opened }] of packages) {
      assert.deepEqual(declared.inputs.architectures, ["arm64"]);
      await check(opened, name.includes("generate-thumbnails") ? "arm64" : undefined);
    }
  });

  it("holds no source of another handler, nor of another cloud or host", () => {
    assert.equal(entries.length, 10);
    const owners = new Map<string, string>();
    for (const [name, { opened }] of packages) {
      const own = opened.sources.filter((source) => entries.includes(source));
      assert.equal(own.length, 1, `${name}: ${own.join(", ")}`);
      assert.equal(owners.get(own[0] as string), undefined, `${name} and ${owners.get(own[0] as string)}`);
      owners.set(own[0] as string, name);
      // The module itself says what it was made of.
      const module = Buffer.from(opened.files["index.mjs"] ?? []).toString();
      const told = new Set([...module.matchAll(/^\/\/ (functions\/.*\.ts)$/gm)].map(([, source]) => source as string));
      assert.ok(told.has(own[0] as string), name);
      for (const source of told) assert.ok(opened.sources.includes(source), `${name}: ${source}`);
      assert.deepEqual(
        opened.sources.filter((source) => /^(functions\/(azure|container)|node_modules\/@azure)\//.test(source)),
        [],
        name,
      );
    }
    assert.deepEqual([...owners.keys()].sort(), [...entries].sort());
  });

  it("loads and handles one event, with nothing in its environment but what is declared", async () => {
    const valid = await handled("photos-workflow-validate-function", event("Object Created", KEY));
    assert.equal(valid.run.key, KEY);
    const thumbnails = await handled("photos-workflow-generate-thumbnails-function", valid);
    assert.deepEqual(thumbnails.variants.map(({ name, width, height }: any) => [name, width, height]).sort(), [
      ["large", 640, 480],
      ["small", 100, 100],
    ]);
    const metadata = await handled("photos-workflow-extract-metadata-function", valid);
    assert.deepEqual([metadata.width, metadata.height], [600, 300]);

    const input = { ...valid, found: { metadata, thumbnails } };
    for (const tagger of ["statistics", "./examples/taggers/shape.ts"]) {
      const tags = await handled(`photos-workflow-detect-labels-function (${tagger})`, { input });
      assert.ok(tags.length > 0, tagger);
    }
    const stored = await handled("photos-workflow-store-results-function", {
      input: { ...input, labels: { tags: [{ name: "Red", confidence: 90 }] } },
      execution: "arn:one",
    });
    assert.deepEqual([stored.stored, stored.notification.status], [true, "completed"]);
    const failed = await handled("photos-workflow-record-failure-function", {
      event: event("Object Created", KEY),
      error: { Error: "ImageRefused", Cause: '{"errorMessage":"{\\"code\\":\\"EMPTY\\",\\"message\\":\\"no bytes\\"}"}' },
      execution: "arn:one",
    });
    assert.deepEqual([failed.stored, failed.notification.status], [true, "failed"]);

    assert.equal(await handled("photos-clean-up-function", event("Object Deleted", "uploads/gone.jpg")), null);
    assert.deepEqual(await handled("photos-sweep-function", {}), { withdrawn: [], failed: [], removed: [] });
    const request = {
      version: "2.0",
      routeKey: "$default",
      rawPath: "/health",
      rawQueryString: "",
      headers: { host: "api.example.org" },
      requestContext: { http: { method: "GET", path: "/health", sourceIp: "192.0.2.1" }, domainName: "api.example.org", stage: "$default" },
      isBase64Encoded: false,
    };
    const { statusCode, body } = await handled("photos-api-function", request);
    assert.deepEqual([statusCode, JSON.parse(body).status], [200, "ok"]);
  });

  it("does not start without what it needs, and says what that is", async () => {
    const { declared } = packages.get("photos-sweep-function") as { declared: Declared };
    const { variables } = declared.inputs.environment;
    const { TOPIC_ARN, ...others } = variables;
    declared.inputs.environment.variables = others;
    await assert.rejects(handled("photos-sweep-function", {}), /TOPIC_ARN/).finally(() => {
      declared.inputs.environment.variables = { ...others, TOPIC_ARN };
    });
  });
});
