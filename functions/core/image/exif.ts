import exifr from "exifr";
import type { Metadata } from "../record.js";

/** Longest text that is kept of a field. */
const LONGEST_TEXT = 200;

const TEXTS = { Make: "make", Model: "model", LensMake: "lensMake", LensModel: "lens", Software: "software" } as const;
const NUMBERS = {
  ExposureTime: "exposureTime",
  FNumber: "fNumber",
  ISO: "iso",
  FocalLength: "focalLength",
  ExposureCompensation: "exposureBias",
  Flash: "flash",
} as const;
const TIMES = ["DateTimeOriginal", "OffsetTimeOriginal"] as const;
const POSITION = ["GPSLatitude", "GPSLatitudeRef", "GPSLongitude", "GPSLongitudeRef", "GPSAltitude", "GPSAltitudeRef"] as const;

/** Orientation 1 to 8 that an EXIF block (from its TIFF header on) declares; 1 when it declares none, or nonsense. */
export function orientationOf(tiff: Buffer | undefined): number {
  if (!tiff || tiff.length < 14) return 1;
  const little = tiff.toString("latin1", 0, 2) === "II";
  const short = (at: number) => (at + 2 <= tiff.length ? (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at)) : 0);
  const directory = little ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  const entries = short(directory);
  for (let entry = directory + 2; entry < directory + 2 + 12 * entries && entry + 12 <= tiff.length; entry += 12) {
    if (short(entry) !== 0x0112) continue;
    const value = short(entry + 8);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/**
 * The fields worth keeping: `make`, `model`, `lensMake`, `lens`, `software`, `takenAt` (ISO 8601, with an offset where the camera tells),
 * `exposureTime` (seconds), `fNumber`, `iso`, `focalLength` (mm), `exposureBias` (EV), `flash` (EXIF's bits), and with `gps`: `latitude`,
 * `longitude` (degrees), `altitude` (m). Names and serial numbers of people and cameras are left out. What cannot be read is missing.
 */
export async function readExif(tiff: Buffer | undefined, { gps }: { gps: boolean }): Promise<Metadata["exif"]> {
  if (!tiff) return {};
  const pick = [...Object.keys(TEXTS), ...Object.keys(NUMBERS), ...TIMES, ...(gps ? POSITION : [])];
  const found: Record<string, unknown> =
    (await exifr
      .parse(tiff, { pick, gps, translateValues: false, reviveValues: false, xmp: false, icc: false, iptc: false, jfif: false })
      .catch(() => undefined)) ?? {};
  const fields: Metadata["exif"] = {};
  for (const [tag, name] of Object.entries(TEXTS)) {
    const text = textOf(found[tag]);
    if (text) fields[name] = text;
  }
  for (const [tag, name] of Object.entries(NUMBERS)) {
    const number = numberOf(found[tag]);
    if (number !== undefined) fields[name] = number;
  }
  const takenAt = timeOf(textOf(found.DateTimeOriginal), textOf(found.OffsetTimeOriginal));
  if (takenAt) fields.takenAt = takenAt;
  return gps ? { ...fields, ...positionOf(found) } : fields;
}

function textOf(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  return [...value.replace(/[\p{Cc}\p{Surrogate}]+/gu, " ").trim()].slice(0, LONGEST_TEXT).join("") || undefined;
}

function numberOf(value: unknown): number | undefined {
  const number = Array.isArray(value) ? value[0] : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** EXIF writes `2026:05:31 12:00:00`, and the offset (`+02:00`) in a field of its own. */
function timeOf(local: string | undefined, offset: string | undefined): string | undefined {
  const [, date, time] = /^(\d{4}:\d{2}:\d{2}) (\d{2}:\d{2}:\d{2})/.exec(local ?? "") ?? [];
  if (!date || !time) return undefined;
  const written = `${date.replaceAll(":", "-")}T${time}${/^[+-]\d{2}:\d{2}$/.test(offset ?? "") ? offset : ""}`;
  return Number.isNaN(Date.parse(written)) ? undefined : written;
}

function positionOf(found: Record<string, unknown>): Metadata["exif"] {
  const [latitude, longitude] = [numberOf(found.latitude), numberOf(found.longitude)];
  if (latitude === undefined || longitude === undefined || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return {};
  const altitude = numberOf(found.GPSAltitude);
  const below = found.GPSAltitudeRef instanceof Uint8Array ? found.GPSAltitudeRef[0] === 1 : found.GPSAltitudeRef === 1;
  return { latitude, longitude, ...(altitude !== undefined && { altitude: below ? -altitude : altitude }) };
}
