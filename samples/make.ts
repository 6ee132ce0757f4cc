import { writeFile } from "node:fs/promises";
import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { crc32, deflateSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { badge, beam, landscape, type Picture } from "./landscape.js";

/**
 * The samples that the pipeline is shown with: good ones of every accepted format, and broken ones of every kind that people upload.
 * What is expected of each is in expected.json. Run this file to write them anew beside it.
 */
export const SAMPLES: Readonly<Record<string, () => Promise<Buffer> | Buffer>> = {
  "mountains.jpg": mountains,
  // The same content under another name: labelled once.
  "mountains-copy.jpg": mountains,
  "portrait-rotated.jpg": () =>
    // As a camera that was held upright stores it: lying, with a note to turn it.
    encoder(landscape(800, 1200, { seed: 5, grain: 5, hue: 1 }))
      .rotate(270)
      .withExif({
        IFD0: { Make: "Sample Works", Model: "Pinhole 3", Software: "samples/make.ts" },
        IFD2: {
          ExposureTime: "1/250",
          FNumber: "56/10",
          ISOSpeedRatings: "200",
          FocalLength: "35/1",
          DateTimeOriginal: "2026:05:31 18:20:00",
          OffsetTimeOriginal: "+02:00",
        },
        IFD3: { GPSLatitudeRef: "N", GPSLatitude: "46/1 33/1 0/1", GPSLongitudeRef: "E", GPSLongitude: "7/1 59/1 0/1" },
      })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 82 })
      .toBuffer(),
  "badge.png": () => encoder(badge(600)).png({ compressionLevel: 9 }).toBuffer(),
  "harbour.webp": () =>
    encoder(landscape(1280, 854, { seed: 9, grain: 4, hue: 2 }))
      .webp({ quality: 80 })
      .toBuffer(),
  "lighthouse.gif": lighthouse,
  "notes.jpg": () => Buffer.from("Remember to send the photos.\n"),
  "truncated.jpg": async () => (await mountains()).subarray(0, 60_000),
  "empty.png": () => Buffer.alloc(0),
  "drawing.svg": () =>
    Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><title>A disc</title><circle cx="32" cy="32" r="30" fill="teal"/></svg>\n',
    ),
  "enormous.png": () => blackPng(16_000, 16_000),
  "phone.heic": heic,
};

function mountains(): Promise<Buffer> {
  return encoder(landscape(1600, 1200, { grain: 6 }))
    .jpeg({ quality: 82 })
    .toBuffer();
}

function lighthouse(): Promise<Buffer> {
  const [width, height, frames] = [240, 180, 8];
  const pages = Array.from({ length: frames }, (_, frame) => beam(width, height, frame / frames).data);
  return sharp(Buffer.concat(pages), { raw: { width, height: height * frames, channels: 3, pageHeight: height } })
    .gif({ delay: 120, colours: 64 })
    .toBuffer();
}

/** A correct PNG of one bit per pixel: thousands of times smaller than what it takes to decode it. */
function blackPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(1, 8);
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height), { level: 9 });
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const [length, checksum, named] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.concat([Buffer.from(type, "latin1"), data])];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, checksum]);
}

/** The beginning of what a phone writes: brands, and the declared size of a picture whose codec nobody here decodes. */
function heic(): Buffer {
  const size = Buffer.alloc(12);
  size.writeUInt32BE(4032, 4);
  size.writeUInt32BE(3024, 8);
  const properties = box("iprp", box("ipco", box("ispe", size)));
  return Buffer.concat([
    box("ftyp", Buffer.from("heic\0\0\0\0mif1heic", "latin1")),
    box("meta", Buffer.alloc(4), properties),
    box("mdat", Buffer.alloc(1024, 0x5a)),
  ]);
}

function box(type: string, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(8 + content.length);
  return Buffer.concat([size, Buffer.from(type, "latin1"), content]);
}

function encoder({ data, width, height, channels }: Picture): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, make] of Object.entries(SAMPLES)) await writeFile(new URL(name, import.meta.url), await make());
}
