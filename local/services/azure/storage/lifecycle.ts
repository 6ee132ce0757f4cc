import type { Cloud } from "../../../kernel/cloud.js";
import type { Properties } from "../../../kernel/service.js";
import { MANAGEMENT_POLICY } from "./resources.js";

const DAY = 86_400_000;

/** A blob as a list of a container names it. */
export interface Listed {
  name: string;
  created: number;
  modified: number;
}

/** What lifecycle rules need of the stores. */
export interface Contents {
  containers(account: string): Promise<string[]>;
  blobs(account: string, container: string, prefix: string): Promise<Listed[]>;
  remove(account: string, container: string, blob: string): Promise<void>;
}

/** Deletes what the declared policies call old enough, once. */
export async function applyLifecycle(cloud: Cloud, contents: Contents): Promise<void> {
  for (const { outputs, inputs } of cloud.resources.all(MANAGEMENT_POLICY)) {
    for (const { definition, enabled = true } of outputs.policy.rules) {
      const { daysAfterCreationGreaterThan: created, daysAfterModificationGreaterThan: modified } =
        definition.actions.baseBlob?.delete ?? {};
      if (!enabled || (created === undefined && modified === undefined)) continue;
      const before = cloud.now().getTime() - (created ?? modified) * DAY;
      const old = (blob: Listed) => (created === undefined ? blob.modified : blob.created) < before;
      for (const { container, prefix } of await selected(definition, inputs.accountName, contents)) {
        const blobs = (await contents.blobs(inputs.accountName, container, prefix)).filter(old);
        for (const { name } of blobs) await contents.remove(inputs.accountName, container, name);
      }
    }
  }
}

/** A prefix begins with the container's name; none stands for every container. */
async function selected({ filters }: Properties, account: string, contents: Contents): Promise<{ container: string; prefix: string }[]> {
  const prefixes: string[] = filters?.prefixMatch ?? [];
  const containers = await contents.containers(account);
  if (prefixes.length === 0) return containers.map((container) => ({ container, prefix: "" }));
  return prefixes.flatMap((match) => {
    const slash = match.indexOf("/");
    if (slash < 0) return containers.filter((container) => container.startsWith(match)).map((container) => ({ container, prefix: "" }));
    return containers
      .filter((container) => container === match.slice(0, slash))
      .map((container) => ({ container, prefix: match.slice(slash + 1) }));
  });
}
