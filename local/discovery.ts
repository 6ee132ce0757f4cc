import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Service } from "./kernel/service.js";

/** Clouds that services are found for: the folders of `local/services`. */
export type CloudName = "aws" | "azure" | "kubernetes";

const SERVICES = join(import.meta.dirname, "services");

/** The services of the clouds: every file, and every folder with an `index`, whose default export makes one. */
export async function findServices(clouds: readonly CloudName[] = ["aws", "azure", "kubernetes"]): Promise<Service[]> {
  const modules = await Promise.all(clouds.map(serviceModules));
  return Promise.all(
    modules.flat().map(async (file) => {
      const { default: make } = (await import(pathToFileURL(file).href)) as { default?: unknown };
      if (typeof make !== "function") throw new Error(`${file} has no default export that makes a service.`);
      return make() as Service;
    }),
  );
}

async function serviceModules(cloud: CloudName): Promise<string[]> {
  const folder = join(SERVICES, cloud);
  if (!existsSync(folder)) return [];
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => a.name.localeCompare(b.name));
  return entries.flatMap((entry) => {
    const file = entry.isDirectory() ? join(folder, entry.name, "index.ts") : join(folder, entry.name);
    return file.endsWith(".ts") && existsSync(file) ? [file] : [];
  });
}
