import { type ApiOptions, createApi } from "../../../../functions/core/api/app.js";
import type { ImageRecord, Tag } from "../../../../functions/core/record.js";
import type { AuthSettings, Settings } from "../../../../functions/core/settings.js";
import { memoryPorts } from "../memory-ports.js";

export const KEY = "a-key-of-sixteen-or-more";

const SETTINGS: Settings = {
  variants: { small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 } },
  limits: { bytes: 20_000, pixels: 50_000_000 },
  gps: false,
  auth: { kind: "key" },
  tagger: "none",
  linkLifetime: 900,
};

/** The smallest beginnings of files that tell what they are. */
export const BYTES = {
  png: Buffer.from("89504e470d0a1a0a0000000d49484452", "hex"),
  jpeg: Buffer.from("ffd8ffe000104a464946000101000001", "hex"),
  gif: Buffer.from("GIF89a\x01\0\x01\0"),
  webp: Buffer.from("RIFF\x1a\0\0\0WEBPVP8L"),
  text: Buffer.from("this is not a picture"),
  heic: Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
};

/** An answer, its body parsed where it is JSON. */
export interface Answer {
  status: number;
  headers: Headers;
  body: any;
}

export interface Request {
  json?: unknown;
  form?: Record<string, string | File | (string | File)[]>;
  body?: string | Uint8Array;
  headers?: Record<string, string>;
  /** What follows `Bearer`; `false` sends nothing. */
  key?: string | false;
}

/** The API over ports in memory, and a caller of it. */
export function api({ auth, ...options }: Partial<ApiOptions> & { auth?: AuthSettings } = {}) {
  const ports = memoryPorts();
  const app = createApi({
    ...ports,
    apiKey: async () => KEY,
    settings: { ...SETTINGS, ...(auth && { auth }) },
    page: { "/": { contentType: "text/html; charset=utf-8", body: "<!doctype html>", hash: "1234", cacheControl: "no-cache" } },
    version: "1.2.3",
    prefix: "uploads/",
    bodyLimit: 30_000,
    ...options,
  });

  async function call(method: string, path: string, { json, form, body, headers, key = KEY }: Request = {}): Promise<Answer> {
    const response = await app.request(`http://photos.example${path}`, {
      method,
      headers: {
        ...(key === false ? {} : { authorization: `Bearer ${key}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...(form ? { body: formData(form) } : {}),
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, headers: response.headers, body: isJson && text ? JSON.parse(text) : text };
  }

  /** An image that has gone its way: object, variant, record and tags. */
  async function completed(name: string, { user, tags = [] }: { user?: string; tags?: Tag[] } = {}): Promise<ImageRecord> {
    const key = `uploads/${name}`;
    const owner = user === undefined ? {} : { user };
    const at = ports.clock.now().toISOString();
    await ports.uploads.write(key, BYTES.png, { contentType: "image/png", overwrite: true, ...owner });
    const run = { key, sequencer: "1", redrive: false };
    await ports.records.begin(run, { ...owner, uploadedAt: at });
    const variant = { name: "small", key: `thumbnails/${key}/small.jpg`, width: 100, height: 100, format: "jpeg", size: 3 };
    await ports.variants.write(variant.key, BYTES.jpeg, { contentType: "image/jpeg", overwrite: true });
    const completion = {
      ...{ format: "png", width: 4, height: 3, colorSpace: "srgb", hasAlpha: false, frames: 1, orientation: 1, exif: {} },
      ...{ sha256: "0".repeat(64), dominantColor: "#336699", thumbhash: "1QcSHQRnh493V4dIh4eXh1h4kJUI" },
      ...{ size: BYTES.png.length, variants: [variant], tags },
    };
    const finished = await ports.records.finish(run, { completion }, at);
    if (finished === "stale") throw new Error(`${key} has a result already.`);
    await ports.tags.replace({ key, uploadedAt: at, ...owner }, tags);
    return finished.record;
  }

  /** An image that was refused. */
  async function failed(name: string, { user }: { user?: string } = {}): Promise<ImageRecord> {
    const key = `uploads/${name}`;
    const owner = user === undefined ? {} : { user };
    const at = ports.clock.now().toISOString();
    await ports.uploads.write(key, BYTES.text, { contentType: "image/png", overwrite: true, ...owner });
    const run = { key, sequencer: "1", redrive: false };
    await ports.records.begin(run, { ...owner, uploadedAt: at });
    const finished = await ports.records.finish(run, { failure: { code: "CORRUPT", message: "It breaks its rules." } }, at);
    if (finished === "stale") throw new Error(`${key} has a result already.`);
    return finished.record;
  }

  return { ...ports, app, call, completed, failed };
}

export function file(name: string, bytes: Uint8Array = BYTES.png): File {
  return new File([bytes as Uint8Array<ArrayBuffer>], name);
}

function formData(form: NonNullable<Request["form"]>): FormData {
  const data = new FormData();
  for (const [name, values] of Object.entries(form)) for (const value of [values].flat()) data.append(name, value);
  return data;
}

/** What is written to the log while `act` runs, each line parsed. */
export async function logged<T>(act: () => Promise<T>): Promise<{ answer: T; lines: Record<string, unknown>[] }> {
  const { error } = console;
  const lines: Record<string, unknown>[] = [];
  console.error = (line: string) => void lines.push(JSON.parse(line));
  try {
    return { answer: await act(), lines };
  } finally {
    console.error = error;
  }
}
