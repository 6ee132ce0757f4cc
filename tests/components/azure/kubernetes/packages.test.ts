import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { ImagePipeline, type ImagePipelineArgs } from "../../../../components/azure/image-pipeline.js";
import { buildContext } from "../../../../components/core/build-context.js";
import { serverCertificate } from "../../../../local/kernel/azure/certificates.js";
import { type Declared, recorded } from "../../../declared.js";
import { Container, type Environment } from "../../../functions/container/containers.js";
import { called } from "../../called.js";
import { type Context, openedContext, unpacked } from "../../opened.js";

interface Image {
  context: Context;
  inputs: Record<string, string>;
  resources: Declared[];
}

const PROGRAMS = ["uploader", "processor"] as const;

describe("The context of the image", function () {
  this.timeout(120_000);
  let image: Image;
  let withModule: Image;

  const declare = async (others: object): Promise<Image> => {
    const args = { ...others, azure: { hosting: "kubernetes" } } as ImagePipelineArgs;
    const resources = await recorded(() => new ImagePipeline("photos", args));
    const { inputs } = called(resources, "photos-registry-image");
    return { context: await openedContext(inputs.path), inputs, resources };
  };
  before(async () => {
    image = await declare({});
    withModule = await declare({ tagger: "./examples/taggers/shape.ts" });
  });

  const text = ({ context }: Image, file: string) => Buffer.from(context.files[file] ?? assert.fail(file)).toString();

  it("is small, and is the two programs, what builds them, and the versions that this project has", async () => {
    const lock = JSON.parse(await readFile("package-lock.json", "utf8"));
    for (const each of [image, withModule]) {
      assert.ok(each.context.bytes.length <= 5_000_000, `${each.context.bytes.length} bytes`);
      assert.deepEqual(Object.keys(each.context.files).sort(), [
        "Dockerfile",
        "package-lock.json",
        "package.json",
        "processor.mjs",
        "uploader.mjs",
      ]);
      assert.equal(text(each, "Dockerfile"), await readFile("functions/container/Dockerfile", "utf8"));
      const { dependencies } = JSON.parse(text(each, "package.json"));
      assert.deepEqual(dependencies, { sharp: lock.packages["node_modules/sharp"].version });
      const { packages } = JSON.parse(text(each, "package-lock.json")) as {
        packages: Record<string, { version?: string; integrity?: string; dev?: boolean }>;
      };
      const installed = Object.entries(packages).filter(([name]) => name !== "");
      assert.ok(installed.length > 1);
      for (const [name, { version, integrity, dev }] of installed) {
        assert.deepEqual([version, integrity], [lock.packages[name].version, lock.packages[name].integrity], name);
        assert.notEqual(dev, true, `${name} is for development only`);
      }
    }
  });

  it("is announced by its hash, and is the same for everybody", async () => {
    for (const { context, inputs } of [image, withModule]) {
      assert.equal(createHash("sha256").update(context.bytes).digest("hex"), inputs.sha256);
      // No one's name, and no time: neither in the archive nor in gzip's own header.
      for (const { name, mode, uid, gid, uname, gname, mtime } of context.headers)
        assert.deepEqual([mode, uid, gid, uname ?? "", gname ?? "", Number(mtime)], [0o644, 0, 0, "", "", 0], name);
      assert.equal(context.bytes.readUInt32LE(4), 0);
      for (const [file, content] of Object.entries(context.files))
        assert.equal(Buffer.from(content).includes(process.cwd()), false, `${file} tells where it was packed`);
    }
    // Packed once more, by somebody whose folder for it is another one.
    const outdir = await mkdtemp(path.join(tmpdir(), "context-"));
    const again = await buildContext({
      name: "photos-registry",
      entries: { "uploader.mjs": "functions/container/uploader.ts", "processor.mjs": "functions/container/processor.ts" },
      target: "node24",
      dockerfile: "functions/container/Dockerfile",
      outdir,
    });
    assert.ok((await readFile(again.path)).equals(image.context.bytes));
    assert.equal(again.sha256, image.inputs.sha256);
    await rm(outdir, { recursive: true });
  });

  it("holds no source of another program, cloud or host", () => {
    /** What a module itself says that it was made of. */
    const told = (each: Image, file: string) => [
      ...new Set(
        [...text(each, file).matchAll(/^\/\/ ((?:functions|node_modules|examples)\/.*)$/gm)].map(([, source]) => source as string),
      ),
    ];
    const entries = (sources: readonly string[]) =>
      sources.filter((source) => /^functions\/container\/(uploader|processor(-module)?)\.ts$/.test(source));
    for (const [each, processor] of [
      [image, "processor"],
      [withModule, "processor-module"],
    ] as const) {
      assert.deepEqual(entries(told(each, "uploader.mjs")), ["functions/container/uploader.ts"]);
      assert.deepEqual(entries(told(each, "processor.mjs")), [`functions/container/${processor}.ts`]);
      assert.deepEqual(
        entries(each.context.sources).sort(),
        ["functions/container/uploader.ts", `functions/container/${processor}.ts`].sort(),
      );
      for (const program of PROGRAMS) {
        const sources = told(each, `${program}.mjs`);
        assert.deepEqual(
          sources.filter((source) =>
            /^(functions\/aws|node_modules\/(@aws-sdk|@azure\/functions|durable-functions|@pulumi))\//.test(source),
          ),
          [],
        );
        for (const source of sources) assert.ok(each.context.sources.includes(source), source);
      }
    }
    // Pictures are the processor's, and so is a tagger of one's own; the page is the uploader's.
    assert.equal(told(withModule, "processor.mjs").includes("examples/taggers/shape.ts"), true);
    assert.equal(told(withModule, "uploader.mjs").includes("examples/taggers/shape.ts"), false);
    assert.equal(image.context.sources.includes("examples/taggers/shape.ts"), false);
    assert.doesNotMatch(text(image, "uploader.mjs"), /from "sharp"/);
    assert.match(text(image, "processor.mjs"), /from "sharp"/);
  });

  it("builds on images whose versions are told", () => {
    const bases = [...text(image, "Dockerfile").matchAll(/^FROM (?:--\S+ )?(\S+)/gm)].map(([, base]) => base as string);
    assert.ok(bases.length > 0);
    const ARGUMENTS = new Map(
      [...text(image, "Dockerfile").matchAll(/^ARG (\w+)=(\S+)/gm)].map(([, name, value]) => [name, value] as const),
    );
    const resolved = bases.map((base) => base.replace(/\$\{?(\w+)\}?/g, (_, name) => ARGUMENTS.get(name) ?? assert.fail(name)));
    for (const base of resolved) assert.match(base, /(node:24\b|nodejs24\b|azurelinux.*nodejs:24\b)/, base);
  });

  /** A program with nothing in its environment but what is declared, and what the cluster itself puts there. */
  const running = async <T>(
    { context, resources }: Image,
    app: (typeof PROGRAMS)[number],
    work: (container: Container, authority: string) => Promise<T>,
    without?: string,
  ): Promise<T> => {
    const { root, remove } = await unpacked(context);
    const { key, cert, authority } = await serverCertificate(await mkdtemp(path.join(root, "certificate-")));
    await symlink(path.resolve("node_modules"), path.join(root, "node_modules"), "dir");
    const secret: Record<string, string> = { "tls.crt": cert, "tls.key": key };
    const { args, env } = called(resources, `photos-${app}-deployment`).inputs.spec.template.spec.containers[0];
    const { "azure.workload.identity/client-id": AZURE_CLIENT_ID } = called(resources, `photos-${app}-account`).inputs.metadata.annotations;
    const declared: Environment = Object.fromEntries(
      env
        .filter(({ name }: { name: string }) => name !== without)
        .map(({ name, value, valueFrom }: any) => [name, value ?? secret[valueFrom.secretKeyRef.key]]),
    );
    const ports = Object.keys(declared).filter((name) => /PORT$/.test(name) && name !== "SQL_PORT");
    const container = new Container(root, args[0], {
      ...declared,
      // On this machine, whichever are free.
      ...Object.fromEntries(ports.map((name) => [name, "0"])),
      HOST: "127.0.0.1",
      // By the webhook of workload identity.
      ...{ AZURE_CLIENT_ID, AZURE_TENANT_ID: "aaaaaaaa-0000-4000-8000-000000000003", AZURE_AUTHORITY_HOST: "https://127.0.0.1:9/" },
      AZURE_FEDERATED_TOKEN_FILE: path.join(root, "token"),
      DRAIN_SECONDS: "0",
    });
    try {
      return await work(container, await readFile(authority, "utf8"));
    } finally {
      await container.end("SIGKILL");
      await remove();
    }
  };

  it("has an uploader that answers, with nothing in its environment but what is declared", async () => {
    await running(image, "uploader", async (container, ca) => {
      const { address, probes } = await container.says("listening");
      assert.match(address, /^https:/);
      const { status, body } = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        request(`${address}/health`, { ca, agent: false }, async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk);
          resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() });
        })
          .on("error", reject)
          .end();
      });
      assert.deepEqual([status, JSON.parse(body).status], [200, "ok"]);
      assert.equal((await fetch(`${probes}/healthz`)).status, 200);
    });
  });

  it("has a processor that lives, and loads a tagger of one's own, with nothing in its environment but what is declared", async () => {
    for (const each of [image, withModule]) {
      await running(each, "processor", async (container) => {
        const address = await container.url();
        assert.equal((await fetch(`${address}/healthz`)).status, 200);
      });
    }
  });

  it("does not start without what it needs, and says what that is", async () => {
    const refusal = (app: (typeof PROGRAMS)[number], without: string) =>
      running(
        image,
        app,
        async (container) => {
          const late = setTimeout(() => void container.end("SIGKILL"), 30_000);
          assert.equal(await container.exited, 1);
          clearTimeout(late);
          return String(container.lines.at(-1)?.error?.message);
        },
        without,
      );
    assert.match(await refusal("uploader", "TLS_CERTIFICATE"), /^TLS_CERTIFICATE is not set/);
    assert.match(await refusal("processor", "JOB_QUEUE"), /^JOB_QUEUE is not set/);
  });
});
