import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { type BuildContextArgs, buildContext } from "../../../components/core/build-context.js";

const run = promisify(execFile);
const lock = async () => JSON.parse(await readFile("package-lock.json", "utf8")).packages;

describe("The context of an image's build", () => {
  let folder: string;
  let args: BuildContextArgs;
  const inFolder = async (name: string, source: string): Promise<string> => {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, source);
    return file;
  };
  const unpacked = async (given: BuildContextArgs) => {
    const { path: file } = await buildContext(given);
    return unpackTar(gunzipSync(await readFile(file)));
  };
  const text = async (given: BuildContextArgs, name: string) =>
    Buffer.from((await unpacked(given)).find(({ header }) => header.name === name)?.data ?? "").toString();

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "context-"));
    args = {
      name: "pipeline",
      entries: {
        "one.mjs": await inFolder(
          "one.ts",
          'import sharp from "sharp"; import { shared } from "./shared.js"; console.log(shared, sharp.versions.sharp);',
        ),
        "two.mjs": await inFolder("two.ts", 'import own from "virtual:own"; console.log(own);'),
      },
      modules: { "virtual:own": await inFolder("own.ts", 'export default "of our own";') },
      target: "node22",
      dockerfile: await inFolder("Dockerfile", "FROM node:24-slim\n"),
      outdir: path.join(folder, "images"),
    };
    await inFolder("shared.ts", 'export const shared = "shared";');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("has the Dockerfile, the programs, and what pins sharp, and nothing of the machine or the time", async () => {
    const entries = await unpacked(args);
    assert.deepEqual(
      entries.map(({ header }) => header.name),
      ["Dockerfile", "one.mjs", "package-lock.json", "package.json", "two.mjs"],
    );
    for (const { header } of entries) {
      assert.deepEqual([header.mode, header.uid, header.gid, header.mtime?.getTime()], [0o644, 0, 0, 0], header.name);
    }
    assert.equal(await text(args, "Dockerfile"), "FROM node:24-slim\n");
    for (const name of ["one.mjs", "two.mjs"]) assert.equal((await text(args, name)).includes(process.cwd()), false, name);
    assert.match(await text(args, "two.mjs"), /of our own/);
  });

  it("pins sharp in our version for whatever platform it is built on", async () => {
    const ours = await lock();
    const manifest = JSON.parse(await text(args, "package.json"));
    const { packages, lockfileVersion } = JSON.parse(await text(args, "package-lock.json"));
    assert.deepEqual(manifest.dependencies, { sharp: ours["node_modules/sharp"].version });
    assert.deepEqual(packages[""].dependencies, manifest.dependencies);
    assert.equal(lockfileVersion, 3);
    for (const platform of ["linux-x64", "linuxmusl-x64", "linux-arm64"]) {
      const name = `node_modules/@img/sharp-${platform}`;
      assert.equal(packages[name].integrity, ours[name].integrity, name);
    }
    for (const [name, { integrity }] of Object.entries<any>(packages)) assert.ok(name === "" || integrity, name);
    assert.doesNotMatch(JSON.stringify(packages), /"resolved"/);
  });

  it("installs what it pins, by npm alone, and its programs run with it", async () => {
    const image = await mkdtemp(path.join(folder, "image-"));
    for (const { header, data } of await unpacked(args)) await writeFile(path.join(image, header.name), data ?? "");
    // What is installed here stands for the registry: npm only checks that manifest and lock file agree.
    const options = ["--dry-run", "--omit=dev", "--ignore-scripts", "--offline", "--no-audit", "--no-fund", "--loglevel=notice"];
    const { stdout } = await run("npm", ["ci", ...options], {
      cwd: image,
      shell: process.platform === "win32",
    });
    assert.match(stdout, /add sharp /);
    assert.equal((await run(process.execPath, ["two.mjs"], { cwd: image })).stdout.trim(), "of our own");
  });

  it("has the same bytes, whoever makes it, when and where", async () => {
    const here = await buildContext(args);
    const program = `
      import { buildContext } from ${JSON.stringify(new URL("../../../components/core/build-context.ts", import.meta.url).href)};
      console.log((await buildContext(${JSON.stringify({ ...args, outdir: path.join(folder, "there") })})).sha256);
    `;
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const { stdout } = await run(process.execPath, ["--import", tsx, "--input-type=module", "--eval", program], {
      cwd: folder,
      env: { ...process.env, TZ: "Asia/Kolkata", LC_ALL: "tr_TR.UTF-8" },
    });
    assert.equal(stdout.trim(), here.sha256);
  });

  it("is another one when a program or the Dockerfile is", async () => {
    const { sha256 } = await buildContext(args);
    const entry = await inFolder("other.ts", 'console.log("other");');
    const other = await buildContext({ ...args, entries: { ...args.entries, "two.mjs": entry } });
    const dockerfile = await inFolder("Other.Dockerfile", "FROM node:22-slim\n");
    const based = await buildContext({ ...args, dockerfile });
    assert.equal(new Set([sha256, other.sha256, based.sha256]).size, 3);
  });

  it("leaves nothing unfinished behind", async () => {
    for (const file of await readdir(path.join(folder, "images"))) assert.match(file, /\.(tar\.gz|json)$/);
  });

  it("is refused with a program that does not compile, which it names", async () => {
    const entries = { "three.mjs": await inFolder("three.ts", "const = 3;") };
    await assert.rejects(buildContext({ ...args, entries }), {
      code: "BUNDLING_FAILED",
      message: /handler pipeline three\.mjs: .*three\.ts:1:7/,
    });
  });
});
