import { createHash } from "node:crypto";
import { sameId } from "../../../kernel/azure/arm.js";
import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpResponse } from "../../../kernel/http.js";
import { CloudError, type Resource } from "../../../kernel/service.js";
import type { Azurite } from "./azurite.js";
import { accountOf } from "./resources.js";

export const BLOB_SERVICE = "azure-native:storage:BlobServiceProperties";

/** An account that only this cloud knows, with a container for each account that has deleted blobs. */
const HIDDEN = "softdeleted";
const DAY = 86_400_000;
const HEADERS = ["content-type", "content-encoding", "content-language", "content-disposition", "cache-control"];

/** Where a blob is. */
export interface BlobAddress {
  account: string;
  container: string;
  blob: string;
}

/** Days in which deleted blobs of an account can be had back; none where its soft delete is off. */
export function retentionOf(account: string, cloud: Pick<Cloud, "resources">): number | undefined {
  const { id } = accountOf(cloud, account);
  const service = cloud.resources.all(BLOB_SERVICE).find((each: Resource) => sameId(each.id, `${id}/blobServices/default`));
  const { enabled, days } = service?.inputs.deleteRetentionPolicy ?? {};
  return enabled ? days : undefined;
}

/** Blobs that were deleted, as long as they can be had back. What was overwritten is not among them. */
export class SoftDeleted {
  constructor(private readonly azurite: Azurite) {}

  /** Keeps a blob that is about to be deleted, with its type and metadata. */
  async keep(address: BlobAddress, now: Date): Promise<void> {
    const found = await this.#send("GET", address.account, pathOf(address.container, address.blob));
    await this.#send("PUT", HIDDEN, `${address.account}?restype=container`, {}, undefined, [409]);
    await this.#send("PUT", HIDDEN, `${address.account}/${folderOf(address)}/${stamp(now)}`, headersOf(found), found.body as Buffer);
  }

  /** Puts back what was there when it was deleted last. A blob that is there stays as it is. @throws CloudError BlobNotFound */
  async restore(address: BlobAddress): Promise<void> {
    const target = pathOf(address.container, address.blob);
    const there = await this.#send("HEAD", address.account, target, {}, undefined, [404]);
    if (there.status !== 404) return;
    const [newest] = (await this.#kept(address.account, folderOf(address))).reverse();
    if (!newest) throw new CloudError("BlobNotFound", "The specified blob does not exist.", 404);
    const kept = await this.#send("GET", HIDDEN, `${address.account}/${newest}`);
    await this.#send("PUT", address.account, target, headersOf(kept), kept.body as Buffer);
    await this.#send("DELETE", HIDDEN, `${address.account}/${newest}`);
  }

  /** Lets go of what has been deleted for longer than its account says. */
  async purge(cloud: Cloud): Promise<void> {
    for (const { inputs } of cloud.resources.all(BLOB_SERVICE)) {
      const days = retentionOf(inputs.accountName, cloud) ?? 0;
      const before = stamp(new Date(cloud.now().getTime() - days * DAY));
      for (const name of await this.#kept(inputs.accountName))
        if ((name.split("/").at(-1) as string) <= before) await this.#send("DELETE", HIDDEN, `${inputs.accountName}/${name}`);
    }
  }

  /** Names of what is kept, oldest first. */
  async #kept(account: string, folder = ""): Promise<string[]> {
    const names: string[] = [];
    for (let marker = ""; ; ) {
      const query = `restype=container&comp=list&prefix=${folder}${marker && `&marker=${encodeURIComponent(marker)}`}`;
      const page = await this.#send("GET", HIDDEN, `${account}?${query}`, {}, undefined, [404]);
      names.push(...[...String(page.body).matchAll(/<Name>([^<]+)<\/Name>/g)].map(([, name]) => name as string));
      marker = /<NextMarker>([^<]+)<\/NextMarker>/.exec(String(page.body))?.[1] ?? "";
      if (page.status === 404 || !marker) return names.sort();
    }
  }

  async #send(
    method: string,
    account: string,
    target: string,
    headers: Record<string, string> = {},
    body?: Buffer,
    accepted: readonly number[] = [],
  ): Promise<HttpResponse> {
    const version = { "x-ms-version": "2021-10-04", ...headers };
    const response = await this.azurite.forward("blob", account, {
      method,
      target: `/${account}/${target}`,
      headers: version,
      ...(body && { body }),
    });
    if (response.status >= 400 && !accepted.includes(response.status))
      throw new CloudError("InternalError", `Soft delete: ${method} ${target} was answered by ${response.status}.`, 500);
    return response;
  }
}

const pathOf = (container: string, blob: string) => `${container}/${blob.split("/").map(encodeURIComponent).join("/")}`;

const folderOf = ({ container, blob }: BlobAddress) => createHash("sha256").update(`${container}/${blob}`).digest("hex");

const stamp = (at: Date) => String(at.getTime()).padStart(15, "0");

/** What a blob is written with, so that it is as the one that was read. */
function headersOf({ headers = {} }: HttpResponse): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => HEADERS.includes(name) || name.startsWith("x-ms-meta-"));
  const renamed = kept.map(([name, value]) => [name.startsWith("x-ms-") ? name : `x-ms-blob-${name}`, String(value)]);
  return { "x-ms-blob-type": "BlockBlob", ...Object.fromEntries(renamed) };
}
