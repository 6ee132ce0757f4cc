import { ImageRefused } from "../failures.js";
import { contentType, extension } from "../image/identify.js";
import { type Rendered, render } from "../image/render.js";
import { labelsImageKey, variantKey } from "../keys.js";
import { ObjectChanged, type ObjectInfo, ObjectMissing, type ObjectStore, type PixelStatistics } from "../ports.js";
import type { Fingerprint, Variant } from "../record.js";
import type { Settings } from "../settings.js";
import type { ValidImage } from "./validate.js";

/** What the one decode gave. */
export interface Thumbnails {
  fingerprint: Fingerprint;
  statistics: PixelStatistics;
  variants: Variant[];
  /** The JPEG for taggers, in the variants' store; only where a tagger looks at pictures. */
  labelsImage?: { key: string; width: number; height: number };
}

export interface ThumbnailsPorts {
  uploads: ObjectStore;
  variants: ObjectStore;
  settings: Pick<Settings, "variants" | "limits" | "tagger">;
}

/** How often variants are made again when the original keeps changing meanwhile; whoever changes it last starts a run of its own. */
const REPAIRS = 5;

/**
 * Reads the image once, decodes it once, and stores its variants.
 *
 * Variants of one image have one place, whichever version they show. So that a slow run never leaves an old version's variants over a newer one's,
 * it looks at the original once more after writing: as long as that is what was read, whoever replaces it later also writes later. Otherwise the
 * variants are made again, of what is there by then, before this run gives up as stale.
 *
 * @throws ImageRefused TRUNCATED, CORRUPT, TIMEOUT and what validation finds.
 * @throws ObjectChanged, ObjectMissing when another version, or none, is there by now: the run is stale.
 */
export async function generateThumbnails(
  { run, size, etag }: Pick<ValidImage, "run" | "size" | "etag">,
  ports: ThumbnailsPorts,
): Promise<Thumbnails> {
  const thumbnails = await store(run.key, { size, etag }, ports);
  const now = await ports.uploads.head(run.key);
  if (now?.etag === etag) return thumbnails;
  await repair(run.key, thumbnails.variants, now, ports);
  throw now
    ? new ObjectChanged(`${run.key} has been written again while its variants were made.`)
    : new ObjectMissing(`${run.key} has been deleted while its variants were made.`);
}

async function store(
  key: string,
  version: Pick<ObjectInfo, "size" | "etag">,
  { uploads, variants, settings }: ThumbnailsPorts,
): Promise<Thumbnails> {
  const bytes = await uploads.read(key, { end: version.size, etag: version.etag });
  if (bytes.length !== version.size) throw new Error(`The store gave ${bytes.length} of the ${version.size} bytes of ${key}.`);
  const looked = settings.tagger === "cloud" || settings.tagger === "module";
  const { renditions, fingerprint, statistics, labelsImage } = await render(bytes, {
    variants: settings.variants,
    limits: settings.limits,
    labelsImage: looked,
  });
  const stored = await Promise.all(renditions.map((rendition) => storeVariant(key, rendition, variants)));
  if (!labelsImage) return { fingerprint, statistics, variants: stored };
  const place = { key: labelsImageKey(fingerprint.sha256), width: labelsImage.width, height: labelsImage.height };
  await variants.write(place.key, labelsImage.bytes, { contentType: "image/jpeg", overwrite: true });
  return { fingerprint, statistics, variants: stored, labelsImage: place };
}

async function storeVariant(
  key: string,
  { name, bytes, width, height, format }: Rendered["renditions"][number],
  variants: ObjectStore,
): Promise<Variant> {
  const variant = { name, key: variantKey(key, name, extension(format)), width, height, format, size: bytes.length };
  await variants.write(variant.key, bytes, { contentType: contentType(format), overwrite: true });
  return variant;
}

/** Makes the variants' store show what the original is now, when this run may have written over it. */
async function repair(key: string, written: readonly Variant[], found: ObjectInfo | undefined, ports: ThumbnailsPorts): Promise<void> {
  let now = found;
  const obsolete = new Set(written.map((variant) => variant.key));
  for (let attempt = 0; attempt < REPAIRS; attempt++) {
    const current = now ? await variantsOf(key, now, ports) : [];
    for (const variant of current ?? []) obsolete.delete(variant.key);
    if (current && obsolete.size > 0) await ports.variants.delete([...obsolete]);
    const then = await ports.uploads.head(key);
    if (current && then?.etag === now?.etag) return;
    for (const variant of current ?? []) obsolete.add(variant.key);
    now = then;
  }
}

/** The variants of a version, stored; none when it is no image; `undefined` when it is not there any more. */
async function variantsOf(key: string, object: ObjectInfo, ports: ThumbnailsPorts): Promise<Variant[] | undefined> {
  if (object.size === 0 || object.size > ports.settings.limits.bytes) return [];
  try {
    return (await store(key, object, ports)).variants;
  } catch (error) {
    if (error instanceof ImageRefused) return [];
    if (error instanceof ObjectChanged || error instanceof ObjectMissing) return undefined;
    throw error;
  }
}
