import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { unzipSync } from "fflate";
import { type BundleArgs, bundle } from "../../../components/core/bundle.js";

const run = promisify(execFile);

describe("A packaged handler", () => {
  let folder: string;
  const arm64 = { platform: "linux", arch: "arm64" } as const;
  const thumbnails: BundleArgs = { name: "thumbnails", entry: "functions/aws/generate-thumbnails.ts", sharp: arm64, target: "node24" };
  const validate: BundleArgs = { name: "validate", entry: "functions/aws/validate.ts", target: "node24" };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "bundle-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const inFolder = async (name: string, source: string): Promise<string> => {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, source);
    return file;
  };
  /** The zip's hash as another process, in another folder, time zone and language, makes it. */
  const elsewhere = async (args: BundleArgs): Promise<string> => {
    const program = `
      import { bundle } from ${JSON.stringify(new URL("../../../components/core/bundle.ts", import.meta.url).href)};
      console.log((await bundle(${JSON.stringify(args)})).sha256);
    `;
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const { stdout } = await run(process.execPath, ["--import", tsx, "--input-type=module", "--eval", program], {
      cwd: folder,
      env: { ...process.env, TZ: "Asia/Kolkata", LC_ALL: "tr_TR.UTF-8" },
    });
    return stdout.trim();
  };
  const unzipped = async (args: BundleArgs) =>
    unzipSync(await readFile((await bundle({ outdir: path.join(folder, "zips"), ...args })).path));

  it("has the same bytes, whoever packages it, when and where", async () => {
    const here = await bundle({ ...thumbnails, outdir: path.join(folder, "here") });
    const there = await elsewhere({ ...thumbnails, outdir: path.join(folder, "there") });
    assert.equal(there, here.sha256);
  });

  it("tells nothing of the machine that packaged it", async () => {
    for (const [file, content] of Object.entries(await unzipped(validate))) {
      assert.equal(Buffer.from(content).includes(process.cwd()), false, file);
    }
  });

  it("holds the target's binaries, and no other machine's", async () => {
    const files = await unzipped(thumbnails);
    const binaries = Object.keys(files).filter((file) => /\.(node|so)/.test(file));
    assert.deepEqual(
      binaries.map((file) => file.split("/").slice(0, 3).join("/")),
      ["node_modules/@img/sharp-libvips-linux-arm64", "node_modules/@img/sharp-linux-arm64"],
    );
    for (const binary of binaries) {
      const header = Buffer.from(files[binary] ?? []);
      assert.equal(header.toString("latin1", 1, 4), "ELF");
      assert.equal(header.readUInt16LE(18), 183, "AArch64");
    }
  });

  it("is small enough to be uploaded at once", async () => {
    const { size, path: zip } = await bundle({ ...thumbnails, outdir: path.join(folder, "zips") });
    assert.equal(size, (await stat(zip)).size);
    assert.ok(size <= 10_000_000, `${size} bytes`);
  });

  it("holds one readable module, and nothing beside it where there is no sharp", async () => {
    const files = await unzipped(validate);
    assert.deepEqual(Object.keys(files), ["index.mjs"]);
    const text = Buffer.from(files["index.mjs"] ?? []).toString();
    assert.match(text, /^async function handler\(/m, "names are those of the source");
  });

  it("loads from its zip alone, with an empty environment", async () => {
    const entry = await inFolder(
      "resizer.ts",
      `import sharp from "sharp";
       export const handler = async () => (await sharp({ create: { width: 2, height: 3, channels: 3, background: "red" } }).jpeg().toBuffer()).length;`,
    );
    const files = await unzipped({ name: "resizer", entry, sharp: { platform: "linux", arch: process.arch as "x64" }, target: "node20" });
    const task = path.join(folder, "task");
    for (const [file, content] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(task, file)), { recursive: true });
      await writeFile(path.join(task, file), content);
    }
    const program = 'import("./index.mjs").then(async ({ handler }) => console.log(await handler()));';
    const { stdout } = await run(process.execPath, ["--eval", program], { cwd: task, env: {} });
    assert.ok(Number(stdout) > 100, stdout);
  }).timeout(30_000);

  it("is packaged once by a process, and compressed once by all", async () => {
    const outdir = path.join(folder, "once");
    const [one, same] = [bundle({ ...validate, outdir }), bundle({ ...validate, outdir })];
    assert.equal(one, same);
    const { path: zip } = await one;
    const before = await stat(zip);
    const again = await bundle({ ...validate, outdir, modules: { "virtual:unused": "x" } });
    assert.equal(again.path, zip);
    assert.equal((await stat(zip)).mtimeMs, before.mtimeMs);
  });

  it("changes with its sources", async () => {
    const outdir = path.join(folder, "changing");
    const at = async (name: string, value: number) => {
      const entry = await inFolder(`${name}/handler.ts`, `export const handler = () => ${value};`);
      return bundle({ name: "changing", entry, target: "node24", outdir });
    };
    const [one, other] = [await at("one", 1), await at("other", 2)];
    assert.notEqual(one.sha256, other.sha256);
    assert.notEqual(one.path, other.path);
  });

  it("is found by a later process, until a source changes", async () => {
    const outdir = path.join(folder, "later");
    const at = async (value: number) => {
      const entry = await inFolder("later.ts", `export const handler = () => ${value};`);
      return elsewhere({ name: "later", entry, target: "node24", outdir });
    };
    const first = await at(1);
    const zips = async () => (await readdir(outdir)).filter((file) => file.endsWith(".zip"));
    const [zip = ""] = await zips();
    const { mtimeMs } = await stat(path.join(outdir, zip));
    assert.equal(await at(1), first);
    assert.equal((await stat(path.join(outdir, zip))).mtimeMs, mtimeMs);
    assert.notEqual(await at(2), first);
    assert.equal((await zips()).length, 2);
    await rm(path.join(outdir, zip));
    assert.equal(await at(1), first, "what was lost is made again");
  });

  it("holds the modules that the program names, from the project's root", async () => {
    const entry = await inFolder("tagging.ts", 'import tagger from "virtual:tagger"; export const handler = tagger;');
    const tagger = await inFolder("tagger.ts", 'export default () => [{ name: "our own tagger", confidence: 100 }];');
    const modules = { "virtual:tagger": path.relative(process.cwd(), tagger) };
    const files = await unzipped({ name: "tagging", entry, modules, target: "node24" });
    assert.match(Buffer.from(files["index.mjs"] ?? []).toString(), /our own tagger/);
  });

  it("holds the page where it asks for it", async () => {
    const entry = await inFolder("page.ts", 'import page from "virtual:page"; export const handler = () => page["/"];');
    const files = await unzipped({ name: "page", entry, target: "node24" });
    assert.match(Buffer.from(files["index.mjs"] ?? []).toString(), /<!doctype html>/i);
  });

  const refused: [string, string, Partial<BundleArgs>, RegExp][] = [
    ["what does not compile", "export const handler = (;", {}, /^handler broken: .*broken\.ts:1:\d+: Unexpected ";"$/],
    ["what is not there", 'import "./nowhere.js";', {}, /^handler broken: .*broken\.ts:1:8: Could not resolve "\.\/nowhere\.js"$/],
    [
      "a module that nobody gives",
      'import "virtual:tagger";',
      {},
      /broken\.ts:1:8: nothing provides virtual:tagger: give its path in `modules`$/,
    ],
    ["sharp without a platform", 'import "sharp";', {}, /^handler broken: it imports sharp: say for which platform with `sharp`\.$/],
    ["sharp that it does not import", "export {};", { sharp: arm64 }, /^handler broken: it is given sharp, but does not import it\.$/],
    [
      "the program that deploys it",
      `import ${JSON.stringify(path.resolve("components/core/units.ts"))};`,
      {},
      /it imports components\/core\/errors\.ts, which belongs to the program|it imports components\/core\/units\.ts, which belongs to the program/,
    ],
    [
      "development dependencies",
      `import ${JSON.stringify(path.resolve("node_modules/mocha/index.js"))};`,
      {},
      /which package\.json has under devDependencies\.$/,
    ],
  ];
  for (const [what, source, args, message] of refused) {
    it(`is refused with ${what}`, async () => {
      const entry = await inFolder(`${what.replaceAll(" ", "-")}/broken.ts`, source);
      await assert.rejects(bundle({ name: "broken", entry, target: "node24", outdir: folder, ...args }), {
        code: "BUNDLING_FAILED",
        message,
      });
    });
  }

  it("says which handler is not there", async () => {
    await assert.rejects(bundle({ name: "lost", entry: "functions/aws/lost.ts", target: "node24", outdir: folder }), {
      code: "BUNDLING_FAILED",
      message: 'handler lost: Could not resolve "./functions/aws/lost.ts"',
    });
  });

  it("leaves nothing unfinished behind", async () => {
    const outdir = path.join(folder, "here");
    assert.equal(existsSync(outdir), true);
    assert.deepEqual((await readdir(outdir)).map((file) => path.extname(file)).sort(), [".json", ".zip"]);
  });
});
