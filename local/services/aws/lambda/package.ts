import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { unzip, type Zippable, zipSync } from "fflate";
import { CloudError, type Properties } from "../../../kernel/service.js";

/** A deployment package, unpacked. */
export interface Package {
  /** Folder with the files as they are in the zip. */
  root: string;
  /** base64 of the zip's SHA-256, as Lambda reports it. */
  codeSha256: string;
  /** Bytes of the zip. */
  size: number;
}

/** The bytes of a declared archive: a zip as it is; a folder or a set of assets zipped, as the provider would. */
export async function zipOf(code: Properties): Promise<Buffer> {
  const archive: Properties | undefined = code.archive;
  if (!archive) throw new CloudError("InvalidParameterValueException", "code must be an archive: a zip file, a folder or a set of assets.");
  if (archive.path && !(await stat(archive.path)).isDirectory()) return readFile(archive.path);
  return Buffer.from(zipSync(await entries({ archive }), { mtime: new Date("1980-01-01T00:00:00") }));
}

async function entries(value: Properties): Promise<Zippable> {
  const { asset, archive } = value;
  if (asset) throw new CloudError("InvalidParameterValueException", "code must be an archive, not a single asset.");
  const files: Zippable = {};
  if (archive.path) {
    const found = await readdir(archive.path, { recursive: true, withFileTypes: true });
    for (const entry of found
      .filter((each) => each.isFile())
      .sort((a, b) => (path.join(a.parentPath, a.name) < path.join(b.parentPath, b.name) ? -1 : 1))) {
      const file = path.join(entry.parentPath, entry.name);
      files[path.relative(archive.path, file).replaceAll(path.sep, "/")] = await readFile(file);
    }
    return files;
  }
  for (const [name, inner] of Object.entries<Properties>(archive.assets ?? {})) {
    if (inner.archive) for (const [below, bytes] of Object.entries(await entries(inner))) files[`${name}/${below}`] = bytes;
    else files[name] = inner.asset.path ? await readFile(inner.asset.path) : Buffer.from(inner.asset.text ?? "");
  }
  return files;
}

const ZIP_LIMIT = 52_428_800;
const UNZIPPED_LIMIT = 262_144_000;

/** Unpacks a zip, unchanged, into a folder named after its content; what is there already is used. @throws CloudError for what Lambda would not take */
export async function unpack(zip: Buffer, folder: string): Promise<Package> {
  const hash = createHash("sha256").update(zip).digest();
  const root = rootOf(hash, folder);
  const result = { root, codeSha256: hash.toString("base64"), size: zip.length };
  if (existsSync(root)) return result;
  if (zip.length > ZIP_LIMIT)
    throw new CloudError(
      "RequestEntityTooLargeException",
      `Request must be smaller than ${ZIP_LIMIT} bytes for a direct upload: the zip has ${zip.length}.`,
      413,
    );

  const files = await new Promise<Record<string, Uint8Array>>((resolve, reject) =>
    unzip(zip, (error, found) =>
      error ? reject(new CloudError("InvalidParameterValueException", `Could not unzip uploaded file: ${error.message}.`)) : resolve(found),
    ),
  );
  const size = Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);
  if (size > UNZIPPED_LIMIT)
    throw new CloudError("InvalidParameterValueException", `Unzipped size must be smaller than ${UNZIPPED_LIMIT} bytes: it is ${size}.`);

  // Aside first, so that an interrupted start leaves no half package under the final name.
  const aside = `${root}.${process.pid}.${Math.floor(performance.now())}`;
  try {
    for (const [name, bytes] of Object.entries(files)) {
      const file = path.resolve(aside, name);
      if (!file.startsWith(aside + path.sep))
        throw new CloudError("InvalidParameterValueException", `The zip's entry "${name}" lies outside of the package.`);
      if (name.endsWith("/")) continue;
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    await mkdir(aside, { recursive: true });
    await rename(aside, root);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!existsSync(root)) throw error;
  }
  return result;
}

/** The folder of a package that was unpacked before, if it is still there. */
export function unpacked(codeSha256: string, folder: string): string | undefined {
  const root = rootOf(Buffer.from(codeSha256, "base64"), folder);
  return existsSync(root) ? root : undefined;
}

const rootOf = (hash: Buffer, folder: string) => path.join(folder, hash.toString("hex").slice(0, 32));
