import { variantKeys } from "../keys.js";
import type { ObjectStore, RecordStore, TagIndex, Workflow } from "../ports.js";
import type { ImageRecord } from "../record.js";
import type { Settings } from "../settings.js";

export interface CleanUpPorts {
  /** Given, an object that is there (again) is left alone. */
  uploads?: ObjectStore;
  variants: ObjectStore;
  records: RecordStore;
  tags: TagIndex;
  /** Given, what a failed run may have written without a trace goes too. */
  settings?: Pick<Settings, "variants">;
  /** Given, an image that came back while the old one was cleaned away is processed again. */
  workflow?: Workflow;
}

/**
 * Removes all that was made of an image whose original is gone: record (a tombstone stays, which beats late events), variants, tag rows.
 *
 * Call it after the original was deleted. With the deletion event's `sequencer`, newer events win; without, everything known by now goes.
 * `otherKey`, how else the event's key can be read, counts where nothing is known by the first. Doing it twice is no error.
 *
 * @returns the record that was there.
 */
export async function cleanUp({ otherKey, ...gone }: Gone & { otherKey?: string }, ports: CleanUpPorts): Promise<ImageRecord | undefined> {
  const buried = await cleanUpAfter(gone, ports);
  if (buried || otherKey === undefined || otherKey === gone.key) return buried;
  // An upload of that name may be on its way.
  if ((await ports.records.get(otherKey))?.status === "processing") return undefined;
  // It may be another image's name, with an order of events of its own.
  return cleanUpAfter({ key: otherKey, at: gone.at }, ports);
}

/** An image whose original has gone. */
interface Gone {
  key: string;
  sequencer?: string;
  at: string;
}

async function cleanUpAfter(
  { key, sequencer, at }: Gone,
  { uploads, variants, records, tags, settings, workflow }: CleanUpPorts,
): Promise<ImageRecord | undefined> {
  // It exists again: the event of the new version is on its way, and replaces what the old one left.
  if (await uploads?.head(key)) return undefined;
  const buried = await records.bury(key, { at, ...(sequencer !== undefined && { sequencer }) });
  if (!buried) return undefined;
  await tags.remove(buried);
  const made = buried.variants ?? [];
  const names = new Set([...Object.keys(settings?.variants ?? {}), ...made.map(({ name }) => name)]);
  const keys = [...new Set([...made.map((variant) => variant.key), ...variantKeys(key, names)])];
  if (keys.length > 0) await variants.delete(keys);
  // A new version may have come, and been processed, between the look and the deletion: then these were its variants.
  const again = keys.length > 0 ? await uploads?.head(key) : undefined;
  if (again) await workflow?.redrive(again);
  return buried;
}
