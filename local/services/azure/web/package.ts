import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { unzip } from "fflate";

/**
 * Unpacks a zip, unchanged, into a folder named after its content; what is there already is used.
 *
 * @returns the folder
 * @throws Error for what is not a zip, or reaches out of its folder
 */
export async function unpack(zip: Buffer, folder: string): Promise<string> {
  const root = path.join(folder, createHash("sha256").update(zip).digest("hex").slice(0, 32));
  if (existsSync(root)) return root;
  const files = await new Promise<Record<string, Uint8Array>>((resolve, reject) =>
    unzip(zip, (error, found) => (error ? reject(new Error(`The package is not a zip file: ${error.message}.`)) : resolve(found))),
  );
  // Aside first, so that an interrupted start leaves no half package under the final name.
  const aside = `${root}.${process.pid}.${Math.floor(performance.now())}`;
  try {
    await mkdir(aside, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      const file = path.resolve(aside, name);
      if (!file.startsWith(aside + path.sep)) throw new Error(`The zip's entry "${name}" lies outside of the package.`);
      if (name.endsWith("/")) continue;
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, bytes);
    }
    await rename(aside, root);
  } catch (error) {
    await rm(aside, { recursive: true, force: true });
    if (!existsSync(root)) throw error;
  }
  return root;
}
