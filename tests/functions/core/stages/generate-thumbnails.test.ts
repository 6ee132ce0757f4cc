import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import sharp from "sharp";
import { ObjectChanged, ObjectMissing } from "../../../../functions/core/ports.js";
import type { Settings } from "../../../../functions/core/settings.js";
import { generateThumbnails } from "../../../../functions/core/stages/generate-thumbnails.js";
import { memoryPorts } from "../memory-ports.js";
import { encoder, scene } from "../pictures.js";
import { afterNext, settings } from "./pipeline.js";

const KEY = "uploads/it.jpg";
const photo = await encoder(scene(60, 40)).jpeg().toBuffer();
const transparent = await encoder(scene(50, 50, 4))
  .png()
  .toBuffer();

async function uploaded(bytes: Buffer, over: Partial<Settings> = {}) {
  const ports = memoryPorts();
  const put = (content: Buffer) => ports.uploads.write(KEY, content, { contentType: "image/any", overwrite: true });
  await put(bytes);
  const etag = createHash("md5").update(bytes).digest("hex");
  const image = { run: { key: KEY, sequencer: "1", redrive: false }, size: bytes.length, etag };
  return { ports, put, generated: () => generateThumbnails(image, { ...ports, settings: { ...settings, ...over } }) };
}

describe("GenerateThumbnails", () => {
  it("stores every variant, and tells of each what it is", async () => {
    const { ports, generated } = await uploaded(photo);
    const { variants, fingerprint } = await generated();
    assert.equal(fingerprint.sha256, createHash("sha256").update(photo).digest("hex"));
    assert.deepEqual(
      variants.map(({ name, key, width, height, format }) => [name, key, width, height, format]),
      [
        ["small", `thumbnails/${KEY}/small.jpg`, 10, 10, "jpeg"],
        ["large", `thumbnails/${KEY}/large.jpg`, 24, 18, "jpeg"],
      ],
    );
    for (const { key, width, height, format, size } of variants) {
      const bytes = ports.variants.bytes(key) as Buffer;
      const stored = await sharp(bytes).metadata();
      assert.deepEqual([bytes.length, stored.width, stored.height, stored.format], [size, width, height, format]);
      assert.equal((await ports.variants.head(key))?.contentType, `image/${format}`);
    }
  });

  it("reads the original once, in the version that was validated", async () => {
    const { ports, generated } = await uploaded(photo);
    await generated();
    assert.deepEqual(
      ports.uploads.calls.filter((call) => call.startsWith("read")),
      [`read ${KEY} 0-${photo.length}`],
    );
  });

  for (const [tagger, stored] of [
    ["cloud", true],
    ["module", true],
    ["statistics", false],
    ["none", false],
  ] as const) {
    it(`stores ${stored ? "a" : "no"} JPEG for the ${tagger} tagger`, async () => {
      const { ports, generated } = await uploaded(transparent, { tagger });
      const { labelsImage, fingerprint } = await generated();
      const key = `labels/${fingerprint.sha256}.jpg`;
      assert.deepEqual(labelsImage, stored ? { key, width: 80, height: 80 } : undefined);
      assert.equal(ports.variants.bytes(key) !== undefined, stored);
    });
  }

  it("refuses a picture that cannot be decoded, and stores nothing of it", async () => {
    const { ports, generated } = await uploaded(photo.subarray(0, photo.length - 200));
    await assert.rejects(generated(), { name: "ImageRefused", code: "TRUNCATED" });
    assert.deepEqual(ports.variants.keys, []);
  });

  it("does not touch a version that it was not asked about", async () => {
    const { ports, put, generated } = await uploaded(photo);
    await put(transparent);
    await assert.rejects(generated(), ObjectChanged);
    await ports.uploads.delete([KEY]);
    await assert.rejects(generated(), ObjectMissing);
    assert.deepEqual(ports.variants.keys, []);
  });

  it("leaves the variants of the version that came meanwhile", async () => {
    const { ports, put, generated } = await uploaded(photo);
    const expected = await uploaded(transparent);
    await expected.generated();
    afterNext(ports.uploads, "read", () => put(transparent));
    await assert.rejects(generated(), ObjectChanged);
    assert.deepEqual(ports.variants.keys, [`thumbnails/${KEY}/large.png`, `thumbnails/${KEY}/small.png`]);
    for (const key of ports.variants.keys) assert.deepEqual(ports.variants.bytes(key), expected.ports.variants.bytes(key));
  });

  it("leaves nothing when the original was deleted, or replaced by what is no picture", async () => {
    const deleted = await uploaded(photo);
    afterNext(deleted.ports.uploads, "read", () => deleted.ports.uploads.delete([KEY]));
    await assert.rejects(deleted.generated(), ObjectMissing);
    const replaced = await uploaded(photo);
    afterNext(replaced.ports.uploads, "read", () => replaced.put(Buffer.from("text")));
    await assert.rejects(replaced.generated(), ObjectChanged);
    assert.deepEqual([deleted.ports.variants.keys, replaced.ports.variants.keys], [[], []]);
  });

  it("a store that gives less than there is, is not the image's fault", async () => {
    const { ports, generated } = await uploaded(photo);
    const read = ports.uploads.read.bind(ports.uploads);
    ports.uploads.read = async (...args) => (await read(...args)).subarray(0, 100);
    await assert.rejects(generated(), { name: "Error", message: /gave 100 of the/ });
  });
});
