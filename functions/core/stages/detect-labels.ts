import type { ObjectStore, Tagger, TagIndex } from "../ports.js";
import type { Metadata, Tag } from "../record.js";
import { tagsOf } from "../taggers/checked.js";
import type { Thumbnails } from "./generate-thumbnails.js";

/**
 * Labels by a tagger that runs in code: statistics, nobody, or a team's own module. Labels that the same tagger found for the same bytes are
 * recalled, not found again.
 *
 * @throws InvalidTags when the tagger returns what are no tags, and whatever the tagger throws: both are the infrastructure's, not the image's.
 */
export async function detectLabels(
  {
    key,
    metadata,
    thumbnails,
  }: { key: string; metadata: Metadata; thumbnails: Pick<Thumbnails, "fingerprint" | "statistics" | "labelsImage"> },
  { tags, variants, tagger }: { tags: TagIndex; variants: ObjectStore; tagger: Tagger },
): Promise<Tag[]> {
  const { fingerprint, statistics, labelsImage } = thumbnails;
  const recalled = await tags.recall(fingerprint.sha256);
  if (recalled) return recalled;
  const jpeg = async () => {
    if (!labelsImage) throw new Error(`There is no JPEG of ${key} for taggers: it is made where the tagger is "cloud" or a module.`);
    return variants.read(labelsImage.key);
  };
  const found = await tagsOf(tagger, { key, metadata, fingerprint, statistics, jpeg });
  await tags.remember(fingerprint.sha256, found);
  return found;
}
