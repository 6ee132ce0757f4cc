import * as pulumi from "@pulumi/pulumi";
import type { ImagePipelineArgs } from "../components/contract.js";
import { InvalidArgument } from "../components/core/errors.js";

/** Keys that every cloud's program knows, and what each is. */
export const SETTINGS = {
  cloud: "which cloud: aws or azure",
  source: "name of a store to adopt",
  thumbnails: "JSON: name → { width, height, fit?, format?, quality? }",
  maxBytes: 'largest file: "25 MB"',
  maxPixels: 'largest picture: "50 MP"',
  tagger: '"cloud", "statistics", "none" or the path of a module',
  notifyEmail: "an address that is told of every result",
  auth: '"key", "jwt" or "none"',
  apiKey: "secret: the key of the API",
  jwtIssuer: "of the tokens: a URL",
  jwtAudience: "of the tokens",
  jwtJwksUri: "where the issuer's keys are",
  gps: "true: record where pictures were taken",
  origins: "JSON: list of web origins that may upload",
  removal: '"destroy" or "retain"',
  recoveryDays: "days in which what is overwritten or deleted can be had back: 7 to 30",
  logRetention: 'how long logs are kept: "30 days"',
  tags: "JSON: labels on every resource",
} as const;

/**
 * The pipeline's arguments from the stack's config `image-pipeline:…`. What is not set is left to the pipeline's defaults. What is set is left to
 * the pipeline's checks, which say the same to whoever builds one, but for what is not text: true or false, and JSON.
 *
 * @param own keys that this cloud's program has beside {@link SETTINGS}
 * @throws InvalidArgument for a key that nobody knows, or a value that is of the wrong kind
 */
export function pipelineArgs(own: Readonly<Record<string, string>> = {}): ImagePipelineArgs {
  refuseUnknown({ ...SETTINGS, ...own });
  const limits = present({ bytes: text("maxBytes"), pixels: text("maxPixels") });
  const [existing, email, gps, retention] = [text("source"), text("notifyEmail"), flag("gps"), text("logRetention")];
  const days = text("recoveryDays");
  return present({
    source: existing && { existing },
    thumbnails: json("thumbnails"),
    limits: Object.keys(limits).length > 0 ? limits : undefined,
    tagger: text("tagger"),
    notify: email && { email },
    auth: auth(),
    // Not by getSecret, so that the pipeline can check it; the pipeline makes a secret of it.
    apiKey: pulumi.runtime.getConfig("image-pipeline:apiKey"),
    metadata: gps === undefined ? undefined : { gps },
    origins: json("origins"),
    removal: text("removal"),
    recovery: days && { days: Number(days) },
    logs: retention && { retention },
    tags: json("tags"),
  }) as ImagePipelineArgs;
}

/** The text of a key, `undefined` where it is not set. */
export function text(key: string): string | undefined {
  return new pulumi.Config("image-pipeline").get(key);
}

function auth(): unknown {
  const jwt = present({ issuer: text("jwtIssuer"), audience: text("jwtAudience"), jwksUri: text("jwtJwksUri") });
  const kind = text("auth");
  if (kind === "jwt") return { jwt };
  const [key] = Object.keys(jwt);
  if (key) throw new InvalidArgument("config image-pipeline:auth", kind, `"jwt" where jwt${key[0]?.toUpperCase()}${key.slice(1)} is set`);
  return kind;
}

function flag(key: string): boolean | undefined {
  const value = text(key);
  if (value !== undefined && value !== "true" && value !== "false")
    throw new InvalidArgument(`config image-pipeline:${key}`, value, "true or false");
  return value === undefined ? undefined : value === "true";
}

/** What the JSON of a key says, `undefined` where it is not set. */
export function json(key: string, form = (SETTINGS as Readonly<Record<string, string>>)[key] ?? "JSON"): unknown {
  const value = text(key);
  try {
    return value === undefined ? undefined : JSON.parse(value);
  } catch {
    throw new InvalidArgument(`config image-pipeline:${key}`, value, form);
  }
}

function refuseUnknown(keys: Readonly<Record<string, string>>): void {
  for (const full of Object.keys(pulumi.runtime.allConfig())) {
    const [project, key = ""] = full.split(/:(.*)/s);
    if (project === "image-pipeline" && !Object.hasOwn(keys, key)) {
      throw new InvalidArgument("config: a key", full, `one of ${Object.keys(keys).join(", ")}`);
    }
  }
}

/** Without what is not set. */
function present(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));
}
