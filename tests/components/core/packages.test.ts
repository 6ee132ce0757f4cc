import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { Packages } from "../../../components/core/packages.js";

const AARCH64 = 183;
const X86_64 = 62;

/** The first bytes of an ELF file for a machine. */
function elf(machine: number): Uint8Array {
  const header = Buffer.alloc(64);
  header.write("\x7fELF", "latin1");
  header.writeUInt16LE(machine, 18);
  return header;
}

async function tarball(name: string, binary: string, machine: number): Promise<Buffer> {
  const file = (path: string, body: Uint8Array | string) => ({ header: { name: `package/${path}`, size: Buffer.byteLength(body) }, body });
  const manifest = JSON.stringify({ name, version: "1.0.0" });
  return gzipSync(await packTar([file("package.json", manifest), file(binary, elf(machine)), file("index.d.ts", "export {};")]));
}

const integrityOf = (content: Buffer) => `sha512-${createHash("sha512").update(content).digest("base64")}`;

describe("The target's binaries", () => {
  const [BINDING, LIBVIPS] = ["@img/sharp-linux-arm64", "@img/sharp-libvips-linux-arm64"];
  const target = { platform: "linux", arch: "arm64" } as const;
  let root: string;
  let registry: Server;
  let asked: string[];
  /** What the registry gives: package → tarball. */
  let given: Record<string, Buffer>;
  let before: NodeJS.ProcessEnv;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), "packages-"));
    asked = [];
    given = {
      [BINDING]: await tarball(BINDING, "lib/sharp.node", AARCH64),
      [LIBVIPS]: await tarball(LIBVIPS, "lib/libvips.so.42", AARCH64),
    };
    registry = createServer((request, response) => {
      const name = decodeURIComponent(request.url ?? "").slice(1);
      asked.push(name);
      const content = given[name.replace(/\.tgz$/, "")];
      if (!content) response.writeHead(404).end("{}");
      else if (name.endsWith(".tgz")) response.end(content);
      else {
        const dist = {
          tarball: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/${name}.tgz`,
          integrity: integrityOf(content),
        };
        response.end(JSON.stringify({ name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": { name, version: "1.0.0", dist } } }));
      }
    }).listen(0, "127.0.0.1");
    await once(registry, "listening");
    before = { ...process.env };
    process.env.npm_config_registry = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
    process.env.npm_config_cache = path.join(root, "npm-cache");
    process.env.npm_config_fetch_retries = "0";
    await project({});
  });

  afterEach(async () => {
    process.env = before;
    registry.closeAllConnections();
    registry.close();
    await rm(root, { recursive: true, force: true });
  });

  /** A project whose lock file pins what the registry gives, but for `pinned`. */
  async function project(pinned: Record<string, Record<string, unknown>>): Promise<void> {
    const locked = (name: string) => ({ version: "1.0.0", integrity: integrityOf(given[name] ?? Buffer.alloc(0)) });
    const packages = {
      "node_modules/sharp": { version: "1.0.0", dependencies: { semver: "^1" } },
      "node_modules/semver": { version: "1.0.0" },
      [`node_modules/${BINDING}`]: locked(BINDING),
      [`node_modules/${LIBVIPS}`]: locked(LIBVIPS),
      ...pinned,
    };
    await writeFile(path.join(root, "package.json"), "{}");
    await writeFile(path.join(root, "package-lock.json"), JSON.stringify({ packages }));
    await install("sharp", { "dist/index.mjs": "", "src/sharp.cc": "", "lib/index.d.ts": "" });
    await install("semver", { "index.js": "" });
  }

  async function install(name: string, files: Record<string, string | Uint8Array>): Promise<void> {
    for (const [file, content] of Object.entries({ "package.json": JSON.stringify({ name, version: "1.0.0" }), ...files })) {
      const at = path.join(root, "node_modules", name, file);
      await mkdir(path.dirname(at), { recursive: true });
      await writeFile(at, content);
    }
  }

  const files = async () => [...(await (await Packages.of(root)).sharpFor(target)).keys()].sort();

  const EXPECTED = [
    "node_modules/@img/sharp-libvips-linux-arm64/lib/libvips.so.42",
    "node_modules/@img/sharp-libvips-linux-arm64/package.json",
    "node_modules/@img/sharp-linux-arm64/lib/sharp.node",
    "node_modules/@img/sharp-linux-arm64/package.json",
    "node_modules/semver/index.js",
    "node_modules/semver/package.json",
    "node_modules/sharp/dist/index.mjs",
    "node_modules/sharp/package.json",
  ];

  it("come from the person's registry, with all that sharp needs and nothing of its sources", async () => {
    assert.deepEqual(await files(), EXPECTED);
    assert.deepEqual([...new Set(asked.filter((name) => name.endsWith(".tgz")))].sort(), [`${LIBVIPS}.tgz`, `${BINDING}.tgz`]);
  });

  it("are fetched once, and then found without the registry", async () => {
    await files();
    registry.close();
    registry.closeAllConnections();
    assert.deepEqual(await files(), EXPECTED);
    assert.deepEqual(await readdir(path.join(root, "node_modules/.cache/image-pipeline")), [
      "img-sharp-libvips-linux-arm64-1.0.0.tgz",
      "img-sharp-linux-arm64-1.0.0.tgz",
    ]);
  });

  it("may be fetched by two at the same time", async () => {
    assert.deepEqual(await Promise.all([files(), files()]), [EXPECTED, EXPECTED]);
  });

  it("are fetched again where the kept ones are damaged", async () => {
    await files();
    const kept = path.join(root, "node_modules/.cache/image-pipeline/img-sharp-linux-arm64-1.0.0.tgz");
    await writeFile(kept, "half a file");
    assert.deepEqual(await files(), EXPECTED);
  });

  it("are taken from node_modules where this machine has them", async () => {
    await install(BINDING, { "lib/sharp.node": elf(AARCH64) });
    await install(LIBVIPS, { "lib/libvips.so.42": elf(AARCH64) });
    assert.deepEqual(await files(), EXPECTED);
    assert.deepEqual(asked, []);
  });

  it("must be what the lock file pins", async () => {
    await project({ [`node_modules/${BINDING}`]: { version: "1.0.0", integrity: integrityOf(Buffer.from("another")) } });
    await assert.rejects(files(), {
      code: "BINARIES_UNAVAILABLE",
      message: /^@img\/sharp-linux-arm64@1\.0\.0 from the registry is not what package-lock\.json pins \(sha512-.*…\)/,
    });
  });

  it("must be for the target's machine", async () => {
    given[LIBVIPS] = await tarball(LIBVIPS, "lib/libvips.so.42", X86_64);
    await project({});
    await assert.rejects(files(), {
      code: "BINARIES_UNAVAILABLE",
      message: /libvips\.so\.42 is not a binary for linux-arm64/,
    });
  });

  it("have to be pinned", async () => {
    await project({ [`node_modules/${BINDING}`]: { version: "1.0.0" } });
    await assert.rejects(files(), { code: "BINARIES_UNAVAILABLE", message: /^package-lock\.json does not pin @img\/sharp-linux-arm64/ });
  });

  it("are missed in plain words where the registry cannot be reached", async () => {
    registry.close();
    registry.closeAllConnections();
    await assert.rejects(files(), (error: Error & { code: string }) => {
      assert.equal(error.code, "BINARIES_UNAVAILABLE");
      assert.match(
        error.message,
        /^@img\/sharp-[a-z0-9-]+@1\.0\.0 is not installed, .* the registry did not give it \(ECONNREFUSED\)\. Run this once where/,
      );
      return true;
    });
    assert.deepEqual(await readdir(path.join(root, "node_modules/.cache/image-pipeline")), [], "nothing unfinished is left");
  });
});
