import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import type { ImagePipelineArgs } from "../../../components/contract.js";
import { validated } from "../../../components/core/validation.js";
import { Settings } from "../../../functions/core/settings.js";

describe("A pipeline's arguments", () => {
  it("have defaults, which the handlers can read", () => {
    const { settings, ...rest } = validated("photos", {});
    assert.deepEqual(Settings.parse(settings), {
      variants: {
        small: { width: 100, height: 100, fit: "cover", format: "auto", quality: 80 },
        large: { width: 640, height: 480, fit: "cover", format: "auto", quality: 80 },
      },
      limits: { bytes: 25_000_000, pixels: 50_000_000 },
      gps: false,
      auth: { kind: "key" },
      tagger: "cloud",
      linkLifetime: 900,
    });
    assert.deepEqual(rest, { origins: [], removal: "destroy", logRetention: "30 days" });
  });

  it("reach the handlers as they were given", () => {
    const { settings, ...rest } = validated("photos", {
      thumbnails: {
        "card-2": { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 },
        plain: { width: 1, height: 8192, format: "png" },
      },
      limits: { bytes: "100 MB", pixels: "0.5 MP" },
      tagger: "./components/contract.ts",
      notify: { email: "ops@example.org" },
      apiKey: "0123456789abcdef",
      metadata: { gps: true },
      origins: ["https://app.example.org", "http://localhost:5173"],
      removal: "retain",
      recovery: { days: 7 },
      logs: { retention: "1 day" },
      tags: { team: "photos" },
    });
    assert.deepEqual(Settings.parse(settings), {
      variants: {
        "card-2": { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 },
        plain: { width: 1, height: 8192, fit: "cover", format: "png", quality: 80 },
      },
      limits: { bytes: 100_000_000, pixels: 500_000 },
      gps: true,
      auth: { kind: "key" },
      tagger: "module",
      linkLifetime: 900,
    });
    assert.deepEqual(rest, {
      taggerModule: "./components/contract.ts",
      email: "ops@example.org",
      apiKey: "0123456789abcdef",
      origins: ["https://app.example.org", "http://localhost:5173"],
      removal: "retain",
      recovery: 7,
      logRetention: "1 day",
      tags: { team: "photos" },
    });
  });

  it("find an issuer's keys where most issuers have them, or where they are told", () => {
    const auth = (jwt: { issuer: string; audience: string; jwksUri?: string }) => validated("photos", { auth: { jwt } }).settings.auth;
    assert.deepEqual(auth({ issuer: "https://id.example.org/tenant/", audience: "photos" }), {
      kind: "jwt",
      issuer: "https://id.example.org/tenant/",
      audience: "photos",
      jwksUri: "https://id.example.org/tenant/.well-known/jwks.json",
    });
    const told = auth({ issuer: "https://id.example.org", audience: "photos", jwksUri: "https://keys.example.org/k" });
    assert.equal(told.kind === "jwt" && told.jwksUri, "https://keys.example.org/k");
  });

  it("may be known only later", () => {
    const email = pulumi.output("somebody");
    assert.equal(validated("photos", { notify: { email } }).email, email);
  });

  const refused: [string, ImagePipelineArgs | Record<string, unknown>, string][] = [
    [
      "a width of nothing",
      { thumbnails: { small: { width: 0, height: 10 } } },
      "photos: thumbnails.small.width is 0: it must be between 1 and 8192.",
    ],
    [
      "a width that is no number",
      { thumbnails: { small: { width: Number.NaN, height: 10 } } },
      "photos: thumbnails.small.width is NaN: it must be between 1 and 8192.",
    ],
    [
      "a height of fractions",
      { thumbnails: { small: { width: 10, height: 10.5 } } },
      "photos: thumbnails.small.height is 10.5: it must be between 1 and 8192.",
    ],
    [
      "a height beyond all decoders",
      { thumbnails: { small: { width: 10, height: 8193 } } },
      "photos: thumbnails.small.height is 8193: it must be between 1 and 8192.",
    ],
    [
      "a height that is missing",
      { thumbnails: { small: { width: 10 } } },
      "photos: thumbnails.small.height is undefined: it must be between 1 and 8192.",
    ],
    [
      "a name that is no file name",
      { thumbnails: { "a/b": { width: 1, height: 1 } } },
      `photos: thumbnails.a/b's name is "a/b": it must be 1 to 32 of a–z, 0–9 and -.`,
    ],
    [
      "an unknown fit",
      { thumbnails: { s: { width: 1, height: 1, fit: "fill" } } },
      'photos: thumbnails.s.fit is "fill": it must be "cover" or "inside".',
    ],
    [
      "an unknown format",
      { thumbnails: { s: { width: 1, height: 1, format: "avif" } } },
      'photos: thumbnails.s.format is "avif": it must be "auto" or "jpeg" or "png" or "webp".',
    ],
    [
      "a quality out of range",
      { thumbnails: { s: { width: 1, height: 1, quality: 101 } } },
      "photos: thumbnails.s.quality is 101: it must be between 1 and 100.",
    ],
    [
      "a quality of PNG",
      { thumbnails: { s: { width: 1, height: 1, format: "png", quality: 5 } } },
      "photos: thumbnails.s.quality is 5: it must be left out: PNG loses nothing.",
    ],
    [
      "an option of a thumbnail that is none",
      { thumbnails: { s: { width: 1, height: 1, widht: 2 } } },
      'photos: thumbnails.s: an option is "widht": it must be one of width, height, fit, format, quality.',
    ],
    [
      "too large files",
      { limits: { bytes: "101 MB" } },
      'photos: limits.bytes is "101 MB": it must be more than zero and at most "100 MB".',
    ],
    [
      "too large pictures",
      { limits: { pixels: "101 MP" } },
      'photos: limits.pixels is "101 MP": it must be more than zero and at most "100 MP".',
    ],
    ["a limit that is none", { limits: { size: "1 MB" } }, 'photos: limits: an option is "limits.size": it must be one of bytes, pixels.'],
    [
      "an unknown tagger",
      { tagger: "rekognition" },
      'photos: tagger is "rekognition": it must be "cloud" or "statistics" or "none", or the path of a module such as "./taggers/logo.ts".',
    ],
    [
      "a tagger that is not there",
      { tagger: "./no/such.ts" },
      `photos: tagger is "./no/such.ts": it must be a module's path from the project's root. There is no such file.`,
    ],
    [
      "a tagger that is a folder",
      { tagger: "./components" },
      `photos: tagger is "./components": it must be a module's path from the project's root. There is no such file.`,
    ],
    [
      "an address that is none",
      { notify: { email: "ops" } },
      'photos: notify.email is "ops": it must be an address such as "ops@example.org".',
    ],
    [
      "a short key, without telling it",
      { apiKey: "secret" },
      'photos: apiKey is "(6 characters)": it must be 16 to 256 visible ASCII characters.',
    ],
    [
      "a key that no header can carry",
      { apiKey: "0123456789 abcdef" },
      'photos: apiKey is "(17 characters)": it must be 16 to 256 visible ASCII characters.',
    ],
    [
      "a key where there is none",
      { auth: "none", apiKey: "0123456789abcdef" },
      'photos: auth is "none": it must be "key" where there is an apiKey. Leave out one of them.',
    ],
    ["an unknown auth", { auth: "basic" }, 'photos: auth is "basic": it must be "key" or "none".'],
    [
      "an issuer without TLS",
      { auth: { jwt: { issuer: "http://id.example.org", audience: "a" } } },
      'photos: auth.jwt.issuer is "http://id.example.org": it must be a URL such as "https://example.org".',
    ],
    [
      "an empty audience",
      { auth: { jwt: { issuer: "https://id.example.org", audience: " " } } },
      'photos: auth.jwt.audience is " ": it must be the `aud` of your tokens.',
    ],
    [
      "an origin with a path",
      { origins: ["https://app.example.org/"] },
      'photos: origins[0] is "https://app.example.org/": it must be an origin, without path: "https://app.example.org".',
    ],
    ["every origin", { origins: ["*"] }, 'photos: origins[0] is "*": it must be a URL such as "https://example.org".'],
    ["a recovery that is too short for a vault", { recovery: { days: 6 } }, "photos: recovery.days is 6: it must be between 7 and 30."],
    ["a recovery that is too long for a secret", { recovery: { days: 31 } }, "photos: recovery.days is 31: it must be between 7 and 30."],
    ["a recovery of no days", { recovery: {} as never }, "photos: recovery.days is undefined: it must be between 7 and 30."],
    [
      "a recovery of what belongs to somebody else",
      { source: { existing: "company" }, recovery: { days: 7 } } as never,
      'photos: recovery is {"days":7}: it must be left out where a store is adopted. What can be had back of it is its owner\'s choice.',
    ],
    ["an unknown removal", { removal: "keep" }, 'photos: removal is "keep": it must be "destroy" or "retain".'],
    [
      "logs that are kept for less than a day",
      { logs: { retention: "1 hour" } },
      'photos: logs.retention is "1 hour": it must be between "1 day" and "3650 days".',
    ],
    [
      "a tag in the cloud's own name",
      { tags: { "aws:x": "y" } },
      `photos: tags: the key is "aws:x": it must be 1 to 128 letters, digits, spaces and _ . : = + - @, without a cloud's own prefix.`,
    ],
    [
      "a tag whose value is no text",
      { tags: { x: 1 } },
      "photos: tags.x is 1: it must be at most 256 letters, digits, spaces and _ . : / = + - @.",
    ],
    [
      "an option that is none",
      { thumbnail: {} },
      'photos: an option is "thumbnail": it must be one of source, thumbnails, limits, tagger, notify, auth, apiKey, metadata, origins, removal, recovery, logs, tags.',
    ],
    [
      "an empty name to adopt",
      { source: { existing: "" } },
      'photos: source.existing is "": it must be the name of a store that is there.',
    ],
    ["gps that is no flag", { metadata: { gps: "yes" } }, 'photos: metadata.gps is "yes": it must be true or false.'],
  ];
  for (const [what, args, message] of refused) {
    it(`are refused for ${what}`, () => {
      assert.throws(() => validated("photos", args as ImagePipelineArgs), { code: "INVALID_ARGUMENT", message });
    });
  }

  it("do not compile where they contradict each other", () => {
    const pipelines: ImagePipelineArgs[] = [
      { auth: "key", apiKey: "0123456789abcdef" },
      // @ts-expect-error there is a key only for auth "key"
      { auth: "none", apiKey: "0123456789abcdef" },
      // @ts-expect-error nor for tokens
      { auth: { jwt: { issuer: "https://id.example.org", audience: "a" } }, apiKey: "0123456789abcdef" },
      // @ts-expect-error PNG loses nothing
      { thumbnails: { s: { width: 1, height: 1, format: "png", quality: 80 } } },
      // @ts-expect-error a size has a unit
      { limits: { bytes: 25_000_000 } },
      // @ts-expect-error a path begins with ./
      { tagger: "taggers/logo.ts" },
    ];
    assert.equal(pipelines.length, 6);
  });
});
