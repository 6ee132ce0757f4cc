import assert from "node:assert/strict";
import type { Tagger } from "../../../../functions/core/ports.js";
import type { Metadata } from "../../../../functions/core/record.js";
import { detectLabels } from "../../../../functions/core/stages/detect-labels.js";
import type { Thumbnails } from "../../../../functions/core/stages/generate-thumbnails.js";
import { memoryPorts } from "../memory-ports.js";

const metadata: Metadata = {
  format: "jpeg",
  width: 4,
  height: 3,
  colorSpace: "srgb",
  hasAlpha: false,
  frames: 1,
  orientation: 1,
  exif: {},
};
const thumbnails: Omit<Thumbnails, "variants"> = {
  fingerprint: { sha256: "a".repeat(64), dominantColor: "#000000", thumbhash: "" },
  statistics: {
    brightness: 0,
    contrast: 0,
    saturation: 0,
    hues: { red: 0, orange: 0, yellow: 0, green: 0, cyan: 0, blue: 0, purple: 0, pink: 0 },
    sharpness: 0,
    transparency: 0,
  },
};
const image = { key: "uploads/it.jpg", metadata, thumbnails };

describe("DetectLabels", () => {
  it("labels the same content once, under however many names", async () => {
    const ports = memoryPorts();
    const asked: string[] = [];
    const tagger: Tagger = ({ key }) => {
      asked.push(key);
      return [{ name: "cat", confidence: 90 }];
    };
    for (const key of ["uploads/one.jpg", "uploads/two.jpg"]) {
      assert.deepEqual(await detectLabels({ ...image, key }, { ...ports, tagger }), [{ name: "cat", confidence: 90 }]);
    }
    assert.deepEqual(asked, ["uploads/one.jpg"]);
  });

  it("remembers that there are none", async () => {
    const ports = memoryPorts();
    let asked = 0;
    const tagger: Tagger = () => {
      asked++;
      return [];
    };
    for (let time = 0; time < 2; time++) assert.deepEqual(await detectLabels(image, { ...ports, tagger }), []);
    assert.equal(asked, 1);
  });

  it("gives a module the stored JPEG", async () => {
    const ports = memoryPorts();
    await ports.variants.write("labels/a.jpg", Buffer.from("jpeg"), { contentType: "image/jpeg", overwrite: true });
    const tagger: Tagger = async ({ jpeg }) => [{ name: Buffer.from(await jpeg()).toString(), confidence: 1 }];
    const labelsImage = { key: "labels/a.jpg", width: 4, height: 3 };
    assert.deepEqual(await detectLabels({ ...image, thumbnails: { ...thumbnails, labelsImage } }, { ...ports, tagger }), [
      { name: "jpeg", confidence: 1 },
    ]);
  });

  it("says so when there is no JPEG", async () => {
    const tagger: Tagger = async ({ jpeg }) => [{ name: String(await jpeg()), confidence: 1 }];
    await assert.rejects(detectLabels(image, { ...memoryPorts(), tagger }), /no JPEG of uploads\/it.jpg for taggers/);
  });

  it("does not remember what is no answer", async () => {
    const ports = memoryPorts();
    await assert.rejects(detectLabels(image, { ...ports, tagger: () => [{ name: "", confidence: 1 }] }), { code: "INVALID_TAGS" });
    await assert.rejects(detectLabels(image, { ...ports, tagger: () => Promise.reject(new Error("no network")) }), /no network/);
    assert.equal(ports.tags.labels.size, 0);
  });
});
