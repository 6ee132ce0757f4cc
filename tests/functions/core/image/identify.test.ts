import assert from "node:assert/strict";
import { identify } from "../../../../functions/core/image/identify.js";
import { encoder, heicHeader, scene } from "../pictures.js";

const picture = () => encoder(scene(20, 10));

describe("What a file is", () => {
  for (const [format, bytes] of [
    ["jpeg", () => picture().jpeg().toBuffer()],
    ["png", () => picture().png().toBuffer()],
    ["webp", () => picture().webp().toBuffer()],
    ["gif", () => picture().gif().toBuffer()],
  ] as const) {
    it(`${format} is known by its content`, async () => assert.deepEqual(identify(await bytes()), { format }));
  }

  for (const [other, bytes] of [
    ["an SVG document", "<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ["an SVG document", '\uFEFF<?xml version="1.0"?>\n<!-- a drawing -->\n<svg width="1">'],
    ["an HTML document", "<!DOCTYPE html><title>Not found</title>"],
    ["an XML document", '<?xml version="1.0"?><Error/>'],
    ["text", "I am a cat."],
    ["text", "Ich bin für Bäume.\n"],
    ["a PDF document", "%PDF-1.7\n"],
    ["a TIFF image", "II*\0\x08\0\0\0"],
    ["a TIFF image", "MM\0*\0\0\0\x08"],
    ["a BMP image", "BM\x36\0\0\0"],
    ["a Photoshop document", "8BPS\0\x01"],
    ["an AVIF image", "\0\0\0\x18ftypavif\0\0\0\0mif1avif"],
    ["an AVIF image", "\0\0\0\x18ftypmif1\0\0\0\0mif1avif"],
    ['an ISO media file of brand "isom", a video perhaps', "\0\0\0\x14ftypisom\0\0\0\0mp41"],
    ['a RIFF file of type "WAVE"', "RIFF\x24\0\0\0WAVEfmt "],
    ["of no known image format", "\x01\x02\x03\x04"],
  ] as const) {
    it(`${JSON.stringify(bytes.slice(0, 24))} is ${other}`, () => {
      const encoding = /[äöü\uFEFF]/.test(bytes) ? "utf8" : "latin1";
      assert.deepEqual(identify(Buffer.from(bytes, encoding)), { other });
    });
  }

  it("HEIC is a container that is known", () => {
    assert.deepEqual(identify(heicHeader(4032, 3024)), { codec: "HEIC" });
    assert.deepEqual(identify(Buffer.from("\0\0\0\x14ftypmif1\0\0\0\0mif1", "latin1")), { codec: "HEIF" });
  });

  it("text stays text when the look at it ends within a character", () => {
    assert.deepEqual(identify(Buffer.from(`${"x".repeat(511)}ä`)), { other: "text" });
  });

  it("a beginning too short to tell is no image", () => {
    for (const bytes of [[0xff], [0xff, 0xd8], [0x89, 0x50]])
      assert.deepEqual(identify(Buffer.from(bytes)), { other: "of no known image format" });
  });
});
