import { statSync } from "node:fs";
import type { Input } from "@pulumi/pulumi";
import type { AuthSettings, Settings, VariantSettings } from "../../functions/core/settings.js";
import type { AuthArgs, ImagePipelineArgs, TaggerArgs, ThumbnailArgs } from "../contract.js";
import { InvalidArgument } from "./errors.js";
import { checkPipelineName } from "./naming.js";
import { bytes, type Duration, pixels, seconds } from "./units.js";

/** What a pipeline is when nothing is said. */
export const DEFAULTS = {
  thumbnails: { small: { width: 100, height: 100 }, large: { width: 640, height: 480 } },
  fit: "cover",
  format: "auto",
  quality: 80,
  bytes: "25 MB",
  pixels: "50 MP",
  tagger: "cloud",
  auth: "key",
  gps: false,
  removal: "destroy",
  logRetention: "30 days",
  /** Seconds that tickets and links live: on AWS the signing role's credentials may not last longer. */
  linkLifetime: 900,
} as const;

/** A pipeline's arguments, checked, with every default applied. */
export interface ValidatedArgs {
  /** What the handlers are told. */
  settings: Settings;
  /** The store to adopt. */
  existing?: Input<string>;
  /** Path of the team's own tagger, from the project's root. */
  taggerModule?: string;
  email?: Input<string>;
  apiKey?: Input<string>;
  origins: readonly string[];
  removal: "destroy" | "retain";
  /** Days in which what is gone can be had back; without, not at all. */
  recovery?: number;
  logRetention: Duration;
  tags?: Record<string, string>;
}

const OPTIONS = [
  ...["source", "thumbnails", "limits", "tagger", "notify", "auth", "apiKey"],
  ...["metadata", "origins", "removal", "recovery", "logs", "tags"],
];

/**
 * Checks the arguments of the pipeline `name`, before any resource is declared. Values that are only known later (outputs) are taken as they
 * are: whatever they name refuses them then.
 *
 * @param own the options that this cloud's class has beside the contract's
 * @throws InvalidArgument
 */
export function validated(name: string, args: ImagePipelineArgs, own: readonly string[] = []): ValidatedArgs {
  checkPipelineName(name);
  const of = (option: string) => `${name}: ${option}`;
  onlyOptions(name, args, [...OPTIONS, ...own]);
  for (const [group, options] of Object.entries({
    source: ["existing"],
    limits: ["bytes", "pixels"],
    notify: ["email"],
    metadata: ["gps"],
    recovery: ["days"],
    logs: ["retention"],
  })) {
    const given = args[group as "limits"];
    if (given !== undefined) onlyOptions(of(group), given, options, `${group}.`);
  }

  const { limits, source, notify, apiKey } = args;
  const tagger = args.tagger ?? DEFAULTS.tagger;
  const auth = args.auth ?? DEFAULTS.auth;
  const gps = args.metadata?.gps ?? DEFAULTS.gps;
  if (typeof gps !== "boolean") throw new InvalidArgument(of("metadata.gps"), gps, "true or false");
  if (apiKey !== undefined) {
    if (auth !== "key") throw new InvalidArgument(of("auth"), auth, '"key" where there is an apiKey', "Leave out one of them.");
    checkKnown(of("apiKey"), apiKey, /^[\x21-\x7e]{16,256}$/, "16 to 256 visible ASCII characters", { secret: true });
  }
  if (source) checkKnown(of("source.existing"), source.existing, /\S/, "the name of a store that is there", { required: true });
  checkKnown(of("notify.email"), notify?.email, /^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'an address such as "ops@example.org"');

  const logRetention = args.logs?.retention ?? DEFAULTS.logRetention;
  seconds(logRetention, { of: of("logs.retention"), min: "1 day", max: "3650 days" });

  return {
    settings: {
      variants: variants(of("thumbnails"), args.thumbnails ?? DEFAULTS.thumbnails),
      limits: {
        bytes: bytes(limits?.bytes ?? DEFAULTS.bytes, { of: of("limits.bytes"), max: "100 MB" }),
        pixels: pixels(limits?.pixels ?? DEFAULTS.pixels, { of: of("limits.pixels"), max: "100 MP" }),
      },
      gps,
      auth: authSettings(of("auth"), auth),
      tagger: taggerKind(of("tagger"), tagger),
      linkLifetime: DEFAULTS.linkLifetime,
    },
    ...(source && { existing: source.existing }),
    ...(tagger.startsWith("./") && { taggerModule: tagger }),
    ...(notify?.email !== undefined && { email: notify.email }),
    ...(apiKey !== undefined && { apiKey }),
    origins: origins(of("origins"), args.origins ?? []),
    removal: oneOf(of("removal"), args.removal ?? DEFAULTS.removal, ["destroy", "retain"]),
    ...(args.recovery && { recovery: recoveryDays(of("recovery"), args) }),
    logRetention,
    ...(args.tags && { tags: labels(of("tags"), args.tags) }),
  };
}

function variants(of: string, thumbnails: Record<string, ThumbnailArgs>): Record<string, VariantSettings> {
  const entries = Object.entries(thumbnails);
  if (entries.length > 16) throw new InvalidArgument(of, Object.keys(thumbnails), "at most 16 renditions");
  return Object.fromEntries(entries.map(([name, thumbnail]) => [name, variant(`${of}.${name}`, name, thumbnail)]));
}

function variant(of: string, name: string, thumbnail: ThumbnailArgs): VariantSettings {
  if (!/^[a-z0-9-]{1,32}$/.test(name)) throw new InvalidArgument(`${of}'s name`, name, "1 to 32 of a–z, 0–9 and -");
  onlyOptions(of, thumbnail, ["width", "height", "fit", "format", "quality"]);
  const { width, height, fit = DEFAULTS.fit, format = DEFAULTS.format, quality } = thumbnail;
  if (format === "png" && quality !== undefined) throw new InvalidArgument(`${of}.quality`, quality, "left out: PNG loses nothing");
  return {
    width: whole(`${of}.width`, width, 8192),
    height: whole(`${of}.height`, height, 8192),
    fit: oneOf(`${of}.fit`, fit, ["cover", "inside"]),
    format: oneOf(`${of}.format`, format, ["auto", "jpeg", "png", "webp"]),
    quality: whole(`${of}.quality`, quality ?? DEFAULTS.quality, 100),
  };
}

function authSettings(of: string, auth: AuthArgs): AuthSettings {
  if (typeof auth !== "object") return { kind: oneOf(of, auth, ["key", "none"]) };
  onlyOptions(of, auth, ["jwt"]);
  onlyOptions(`${of}.jwt`, auth.jwt, ["issuer", "audience", "jwksUri"]);
  const { issuer, audience, jwksUri = `${String(auth.jwt.issuer).replace(/\/+$/, "")}/.well-known/jwks.json` } = auth.jwt;
  checkUrl(`${of}.jwt.issuer`, issuer);
  checkUrl(`${of}.jwt.jwksUri`, jwksUri);
  if (typeof audience !== "string" || !audience.trim())
    throw new InvalidArgument(`${of}.jwt.audience`, audience, "the `aud` of your tokens");
  return { kind: "jwt", issuer, audience, jwksUri };
}

function taggerKind(of: string, tagger: TaggerArgs): Settings["tagger"] {
  if (!String(tagger).startsWith("./"))
    return oneOf(of, tagger, ["cloud", "statistics", "none"], ', or the path of a module such as "./taggers/logo.ts"');
  if (!statSync(tagger, { throwIfNoEntry: false })?.isFile()) {
    throw new InvalidArgument(of, tagger, "a module's path from the project's root", "There is no such file.");
  }
  return "module";
}

function origins(of: string, given: readonly string[]): readonly string[] {
  for (const [index, origin] of given.entries()) {
    checkUrl(`${of}[${index}]`, origin);
    if (new URL(origin).origin !== origin) {
      throw new InvalidArgument(`${of}[${index}]`, origin, `an origin, without path: "${new URL(origin).origin}"`);
    }
  }
  return [...new Set(given)];
}

/** The days that every cloud offers: a vault at least 7, Secrets Manager at most 30. */
function recoveryDays(of: string, { recovery, source }: ImagePipelineArgs): number {
  const days: unknown = recovery?.days;
  if (source)
    throw new InvalidArgument(of, recovery, "left out where a store is adopted", "What can be had back of it is its owner's choice.");
  if (typeof days !== "number" || !Number.isInteger(days) || days < 7 || days > 30)
    throw new InvalidArgument(`${of}.days`, days, "between 7 and 30");
  return days;
}

/** What both clouds take as a label. */
function labels(of: string, tags: Record<string, string>): Record<string, string> {
  const entries = Object.entries(tags);
  if (entries.length > 40) throw new InvalidArgument(of, Object.keys(tags), "at most 40 labels");
  for (const [key, value] of entries) {
    if (!/^(?!aws:|azure|microsoft|windows)[\p{L}\p{N} _.:=+@-]{1,128}$/iu.test(key)) {
      throw new InvalidArgument(`${of}: the key`, key, "1 to 128 letters, digits, spaces and _ . : = + - @, without a cloud's own prefix");
    }
    if (typeof value !== "string" || !/^[\p{L}\p{N} _.:/=+@-]{0,256}$/u.test(value)) {
      throw new InvalidArgument(`${of}.${key}`, value, "at most 256 letters, digits, spaces and _ . : / = + - @");
    }
  }
  return { ...tags };
}

/** https, or plain http on this very machine, where the embedded cloud is. */
function checkUrl(of: string, value: string): void {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const local = url?.protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (url?.protocol !== "https:" && !local) throw new InvalidArgument(of, value, 'a URL such as "https://example.org"');
}

function whole(of: string, value: number, max: number): number {
  if (!Number.isInteger(value) || value < 1 || value > max) throw new InvalidArgument(of, value, `between 1 and ${max}`);
  return value;
}

/** The value, where it is one of the allowed. @throws InvalidArgument */
export function oneOf<Allowed extends string>(of: string, value: unknown, allowed: readonly Allowed[], more = ""): Allowed {
  if (!(allowed as readonly unknown[]).includes(value)) {
    throw new InvalidArgument(of, value, allowed.map((each) => JSON.stringify(each)).join(" or ") + more);
  }
  return value as Allowed;
}

/** Checks text that is known now; outputs and promises pass. A secret's value stays out of the message. */
export function checkKnown(
  of: string,
  value: Input<string> | undefined,
  form: RegExp,
  allowed: string,
  { secret = false, required = false }: { secret?: boolean; required?: boolean } = {},
): void {
  if (value === undefined ? required : typeof value === "string" ? !form.test(value) : typeof value !== "object") {
    throw new InvalidArgument(of, secret && typeof value === "string" ? `(${value.length} characters)` : value, allowed);
  }
}

/** @throws InvalidArgument naming the first option that is none of these, `prefix` before it. */
export function onlyOptions(of: string, given: object, options: readonly string[], prefix = ""): void {
  if (typeof given !== "object" || given === null) throw new InvalidArgument(of, given, `an object with ${options.join(", ")}`);
  for (const option of Object.keys(given)) {
    if (!options.includes(option)) throw new InvalidArgument(`${of}: an option`, `${prefix}${option}`, `one of ${options.join(", ")}`);
  }
}
