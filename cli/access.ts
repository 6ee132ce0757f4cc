import { developerAccess, type EmbeddedStack } from "../local/index.js";

/** Addresses with which a person looks into the stores by clients of their own; empty where the cloud's usual clients need none. */
export async function accessLines({ cloud, outputs }: EmbeddedStack): Promise<string[]> {
  const { databases, containers, apps } = await developerAccess(cloud);
  const lines = [
    ...databases.map(({ connectionString }) => ["rows", connectionString]),
    ...containers.filter(({ name }) => name === outputs.uploads).map(({ name, url }) => [name, url]),
    ...apps.map(({ orchestrations }) => ["workflows", orchestrations]),
  ];
  if (lines.length === 0) return [];
  return [
    "Looking inside, by clients of your own (docs/azure.md):",
    ...lines.map(([what = "", address]) => `  ${what.padEnd(13)} ${address}`),
  ];
}
