import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import sharp from "sharp";
import * as photos from "../photos.js";
import { conformance } from "./describe.js";

conformance("What becomes of an image", (client) => {
  it("is a record that says what the picture is", async () => {
    const bytes = await photos.turnedJpeg(640, 400);
    const record = await client().put(client().name("turned.jpg"), bytes);
    assert.equal(record.status, "completed");
    assert.equal(record.format, "jpeg");
    assert.deepEqual([record.width, record.height, record.orientation], [400, 640, 6], "after orientation");
    assert.equal(record.size, bytes.length);
    assert.equal(record.colorSpace, "srgb");
    assert.equal(record.hasAlpha, false);
    assert.equal(record.frames, 1);
    assert.equal(record.sha256, createHash("sha256").update(bytes).digest("hex"));
    assert.match(record.dominantColor, /^#[0-9a-f]{6}$/);
    assert.ok(Buffer.from(record.thumbhash, "base64").length >= 5);
    assert.equal(record.exif.make ?? record.exif.Make, "Acme");
    assert.ok(!JSON.stringify(record.exif).toLowerCase().includes("gps"), "where it was taken is not recorded unasked");
    assert.ok(Date.parse(record.processedAt) >= Date.parse(record.uploadedAt) - 1_000);
    for (const { name, confidence } of record.tags) {
      assert.equal(typeof name, "string");
      assert.ok(confidence >= 0 && confidence <= 100);
    }
  });

  it("has thumbnails of exactly the declared size, upright and without metadata", async () => {
    const record = await client().put(client().name("thumbs.jpg"), await photos.turnedJpeg());
    const { status, body } = await client().call("GET", client().image(record.key));
    assert.equal(status, 200);
    // On a cluster there is a presentable copy of the whole picture as well.
    const names = record.variants.map((variant: { name: string }) => variant.name).sort();
    assert.deepEqual(
      names.filter((name: string) => name !== "processed"),
      ["large", "small"],
    );
    for (const [name, width, height] of [
      ["small", 100, 100],
      ["large", 640, 480],
    ] as const) {
      const variant = record.variants.find((candidate: { name: string }) => candidate.name === name);
      assert.deepEqual([variant.width, variant.height, variant.format], [width, height, "jpeg"]);
      assert.ok(variant.key.startsWith("thumbnails/"), variant.key);
      const bytes = Buffer.from(await (await fetch(body.urls.variants[name])).arrayBuffer());
      assert.equal(bytes.length, variant.size);
      const seen = await sharp(bytes).metadata();
      assert.deepEqual(
        [seen.width, seen.height, seen.format, seen.orientation, seen.exif, seen.icc],
        [width, height, "jpeg", undefined, undefined, undefined],
      );
    }
    // The sky was at the top of the stored pixels, which EXIF turns clockwise: it is on the right of the upright picture.
    const large = Buffer.from(await (await fetch(body.urls.variants.large)).arrayBuffer());
    const { dominant: right } = await sharp(await sharp(large).extract({ left: 560, top: 100, width: 60, height: 60 }).toBuffer()).stats();
    assert.ok(right.b > right.g && right.b > right.r, JSON.stringify(right));
  });

  it("keeps transparency in thumbnails", async () => {
    const record = await client().put(client().name("clear.png"), await photos.transparentPng(), { contentType: "image/png" });
    assert.deepEqual([record.format, record.hasAlpha], ["png", true]);
    for (const variant of record.variants) assert.equal(variant.format, "png");
  });

  it("counts the frames of an animation, and shows the first", async () => {
    const record = await client().put(client().name("moving.gif"), await photos.animatedGif(), { contentType: "image/gif" });
    assert.deepEqual([record.status, record.format, record.frames, record.width, record.height], ["completed", "gif", 2, 60, 40]);
  });

  it("gives time-limited links: the original as an attachment, each thumbnail as an image", async () => {
    const bytes = await photos.jpeg(300, 200);
    const record = await client().put(client().name("Größe & co.jpg"), bytes);
    const { body } = await client().call("GET", client().image(record.key));
    const original = await fetch(body.urls.original);
    assert.equal(original.status, 200);
    assert.match(original.headers.get("content-disposition") ?? "", /^attachment;.*Gr%C3%B6%C3%9Fe/);
    assert.deepEqual(Buffer.from(await original.arrayBuffer()), bytes);
    const small = await fetch(body.urls.variants.small);
    assert.equal(small.headers.get("content-type"), "image/jpeg");
    const bare = new URL(body.urls.original);
    bare.search = "";
    assert.ok((await fetch(bare)).status >= 400, "without its signature, a link opens nothing");
  });

  for (const [what, make, code] of [
    ["a text file named .jpg", () => Buffer.from("this is not a picture, however it is called"), "UNSUPPORTED_FORMAT"],
    ["an SVG", photos.svg, "UNSUPPORTED_FORMAT"],
    ["a HEIC", photos.heic, "UNSUPPORTED_CODEC"],
    ["a truncated JPEG", async () => (await photos.jpeg()).subarray(0, 20_000), "TRUNCATED"],
    ["a 30 KB PNG of 256 megapixels", photos.pixelBomb, "PIXEL_LIMIT"],
  ] as const) {
    it(`is a failed record with the code ${code} for ${what}, and the next photo is processed`, async () => {
      const record = await client().put(client().name(`${code}-${what.length}.jpg`), await make());
      assert.equal(record.status, "failed");
      assert.equal(record.failure.code, code, record.failure.message);
      assert.equal(record.variants?.length ?? 0, 0);
      assert.equal((await client().put(client().name(`after-${code}-${what.length}.jpg`), await photos.jpeg(120, 90))).status, "completed");
    });
  }

  it("refuses an empty file before it is stored", async () => {
    const { status, body } = await client().upload(client().name("empty.jpg"), Buffer.alloc(0));
    assert.equal(status, 400);
    assert.equal(body.code, "EMPTY");
    const ticket = await client().ticket(client().name("empty.jpg"), 0);
    assert.equal(ticket.status, 400);
  });

  it("is gone with everything that belongs to it once it is deleted", async () => {
    const record = await client().put(client().name("gone.jpg"), await photos.jpeg(300, 200));
    const { body: before } = await client().call("GET", client().image(record.key));
    const { status, body } = await client().call("DELETE", client().image(record.key));
    assert.deepEqual([status, body], [204, ""]);
    assert.equal((await client().status(record.key)).status, 404);
    for (const url of [before.urls.original, before.urls.variants.small]) {
      await client().eventually(async () => (await fetch(url)).status >= 400, "the store has nothing of it");
    }
    for (const tag of record.tags.slice(0, 1)) {
      const { body: found } = await client().call("GET", `/images?tag=${encodeURIComponent(tag.name)}&limit=100`);
      assert.ok(!found.items.some((item: { key: string }) => item.key === record.key));
    }
    const again = await client().put(client().name("gone.jpg"), await photos.jpeg(310, 200));
    assert.equal(again.width, 310, "the name is free again");
  });
});
