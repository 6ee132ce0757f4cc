import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync, unzipSync } from "fflate";
import { type TarHeader, unpackTar } from "modern-tar";
import type { Packaged } from "../../components/core/packaged.js";
import { zipped } from "../../components/core/zip.js";

/** ELF's `e_machine` by Node's name of the architecture. */
const MACHINE = { x64: 62, arm64: 183 } as const;

/** A handler's package, opened. */
export interface Opened {
  zip: Buffer;
  files: Readonly<Record<string, Uint8Array>>;
  /** What its module was made of, from the project's root. */
  sources: readonly string[];
}

/** Opens a package: the zip, and the note of what went into it that packaging leaves beside it. */
export async function opened(file: string): Promise<Opened> {
  const zip = await readFile(file);
  return { zip, files: unzipSync(zip), sources: await sourcesOf(file) };
}

/** The context of an image's build, opened. */
export interface Context extends Omit<Opened, "zip"> {
  /** The `.tar.gz`. */
  bytes: Buffer;
  headers: readonly TarHeader[];
}

/** Opens a context: the `.tar.gz`, and the note beside it. */
export async function openedContext(file: string): Promise<Context> {
  const bytes = await readFile(file);
  const entries = await unpackTar(gunzipSync(bytes));
  const files = Object.fromEntries(entries.map(({ header, data }) => [header.name, data ?? new Uint8Array()]));
  return { bytes, files, headers: entries.map(({ header }) => header), sources: await sourcesOf(file) };
}

async function sourcesOf(file: string): Promise<string[]> {
  const [folder, name] = [path.dirname(file), path.basename(file).replace(/-[0-9a-f]{16}\.(zip|tar\.gz)$/, "")];
  const notes = (await readdir(folder)).filter((note) => note.startsWith(`${name}-`) && note.endsWith(".json"));
  const packaged = await Promise.all(notes.map(async (note) => JSON.parse(await readFile(path.join(folder, note), "utf8")) as Packaged));
  const own = packaged.find((each) => path.resolve(each.path) === path.resolve(file));
  assert.ok(own, `there is no note of what went into ${file}`);
  return Object.keys(own.sources);
}

/** What every package has to be, for the platform that it declares; `undefined` where it has nothing to do with sharp. */
export async function check({ zip, files, sources }: Opened, arch: "arm64" | "x64" | undefined): Promise<void> {
  assert.ok(zip.length <= 10_000_000, `${zip.length} bytes`);

  const binaries = Object.keys(files).filter((file) => /\.(node|dll|dylib|so(\.\d+)*)$/.test(file));
  const expected = arch ? [`node_modules/@img/sharp-libvips-linux-${arch}`, `node_modules/@img/sharp-linux-${arch}`] : [];
  assert.deepEqual(binaries.map((file) => file.split("/").slice(0, 3).join("/")).sort(), expected);
  for (const binary of binaries) {
    const header = Buffer.from(files[binary] ?? []);
    assert.equal(header.toString("latin1", 1, 4), "ELF", binary);
    assert.equal(header.readUInt16LE(18), MACHINE[arch ?? "x64"], binary);
  }

  const lock = JSON.parse(await readFile("package-lock.json", "utf8")) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  const packages = [...sources, ...Object.keys(files)].flatMap(
    (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file) ?? [],
  );
  for (const name of new Set(packages)) assert.notEqual(lock.packages[name]?.dev, true, `${name} is for development only`);

  for (const [file, content] of Object.entries(files)) {
    assert.equal(Buffer.from(content).includes(process.cwd()), false, `${file} tells where it was packaged`);
  }
  // Bytes that come from the contents alone: no times, no order of their own, no one's compressor.
  assert.ok(zip.equals(zipped(new Map(Object.entries(files).reverse()))), "the same files zip to other bytes");
}

/** Unpacks it into a folder of its own; returns that, and how to remove it. */
export async function unpacked({ files }: Pick<Opened, "files">): Promise<{ root: string; remove: () => Promise<void> }> {
  const root = await mkdtemp(path.join(tmpdir(), "package-"));
  for (const [file, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, file)), { recursive: true });
    await writeFile(path.join(root, file), content);
  }
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}
