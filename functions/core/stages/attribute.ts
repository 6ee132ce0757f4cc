import type { RecordStore, TagIndex } from "../ports.js";

/**
 * Tells whose image it is. What the record says already stays; otherwise a finished image's tags are found under its user from now on, and one that
 * is still to be finished will be.
 */
export async function attribute(
  image: { key: string; user: string; at: string },
  { records, tags }: { records: RecordStore; tags: TagIndex },
): Promise<void> {
  const record = await records.attribute(image);
  const { key, user, uploadedAt } = record;
  // Also when nothing has changed: whoever told it before may have died half-way.
  if (record.status === "completed" && user === image.user) await tags.replace({ key, user, uploadedAt }, record.tags ?? []);
}
