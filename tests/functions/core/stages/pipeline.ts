import { createHash } from "node:crypto";
import { ImageRefused } from "../../../../functions/core/failures.js";
import { ObjectChanged, ObjectMissing } from "../../../../functions/core/ports.js";
import type { Settings } from "../../../../functions/core/settings.js";
import { cleanUp } from "../../../../functions/core/stages/clean-up.js";
import { detectLabels } from "../../../../functions/core/stages/detect-labels.js";
import { extractMetadata } from "../../../../functions/core/stages/extract-metadata.js";
import { generateThumbnails } from "../../../../functions/core/stages/generate-thumbnails.js";
import { recordFailure, type Stored, storeResults } from "../../../../functions/core/stages/store-results.js";
import { type Arrival, validate } from "../../../../functions/core/stages/validate.js";
import { statistics } from "../../../../functions/core/taggers/statistics.js";
import type { memoryPorts } from "../memory-ports.js";

export const settings: Settings = {
  variants: {
    small: { width: 10, height: 10, fit: "cover", format: "auto", quality: 80 },
    large: { width: 24, height: 18, fit: "cover", format: "auto", quality: 80 },
  },
  limits: { bytes: 1_000_000, pixels: 1_000_000 },
  gps: false,
  auth: { kind: "none" },
  tagger: "statistics",
  linkLifetime: 900,
};

export type Ports = ReturnType<typeof memoryPorts>;

/** An event of the store, as every cloud's entry hands it to the stages. */
export type StoreEvent = { created: Arrival } | { deleted: { key: string; sequencer: string; at: string } };

/** The uploads as users and clouds change them: every change gives its event, whose sequencer tells the order. */
export class Uploads {
  private changes = 0;

  constructor(private readonly ports: Ports) {}

  async put(key: string, bytes: Uint8Array, user?: string): Promise<{ created: Arrival }> {
    await this.ports.uploads.write(key, bytes, {
      contentType: "application/octet-stream",
      overwrite: true,
      ...(user !== undefined && { user }),
    });
    const etag = createHash("md5").update(bytes).digest("hex");
    return { created: { key, sequencer: this.next(), etag, size: bytes.length, at: this.now(), redrive: false } };
  }

  async delete(key: string): Promise<StoreEvent> {
    await this.ports.uploads.delete([key]);
    return { deleted: { key, sequencer: this.next(), at: this.now() } };
  }

  private next(): string {
    this.ports.clock.pass(1);
    return (++this.changes).toString(16).padStart(6, "0");
  }

  private now(): string {
    return this.ports.clock.now().toISOString();
  }
}

/** The stages one after the other, as workflows run them. A refusal is recorded; what another version has overtaken is stale. */
export async function run(arrival: Arrival, ports: Ports, with_: Settings = settings): Promise<Stored> {
  const all = { ...ports, settings: with_ };
  try {
    const image = await validate(arrival, all);
    if (image.stale) return { stored: false };
    const metadata = await extractMetadata(image, all);
    const thumbnails = await generateThumbnails(image, all);
    const tags = await detectLabels({ key: arrival.key, metadata, thumbnails }, { ...ports, tagger: statistics });
    return await storeResults(
      image.run,
      { ...metadata, ...thumbnails.fingerprint, size: image.size, variants: thumbnails.variants, tags },
      all,
    );
  } catch (error) {
    if (error instanceof ObjectChanged || error instanceof ObjectMissing) return { stored: false };
    if (error instanceof ImageRefused) return recordFailure(arrival, error.failure, all, arrival.size);
    throw error;
  }
}

/** Delivers an event. */
export async function deliver(event: StoreEvent, ports: Ports): Promise<Stored | undefined> {
  if ("created" in event) return run(event.created, ports);
  await cleanUp(event.deleted, { ...ports, settings });
  return undefined;
}

/** Does something right after the next call of a port's method. */
export function afterNext<Port extends object>(port: Port, name: keyof Port & string, what: () => Promise<unknown>): void {
  const original = Reflect.get(port, name) as (...args: unknown[]) => Promise<unknown>;
  Reflect.set(port, name, async (...args: unknown[]) => {
    Reflect.set(port, name, original);
    const answer = await original.apply(port, args);
    await what();
    return answer;
  });
}
