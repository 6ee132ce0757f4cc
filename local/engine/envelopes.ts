import { resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import type { AssetValue, Properties } from "../kernel/service.js";

const {
  specialSigKey: SIGNATURE,
  specialSecretSig: SECRET,
  specialOutputValueSig: OUTPUT,
  specialResourceSig: RESOURCE,
  specialAssetSig: ASSET,
  specialArchiveSig: ARCHIVE,
} = pulumi.runtime;

/** Where something lies within properties: `["tags", "owner"]`, `["rules", 0, "id"]`. */
export type Path = readonly (string | number)[];

/** What stands for a value that is not known in a preview: a text of its own for each kind of value. */
export const UNKNOWN = pulumi.runtime.unknownValue;

const UNKNOWNS: ReadonlySet<unknown> = new Set([
  UNKNOWN,
  // Of booleans, numbers, lists, assets, archives and objects, as Pulumi's engine writes them.
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** Whether a value, out of its envelope, stands for one that is not known. */
export const isUnknown = (value: unknown): boolean => UNKNOWNS.has(value);

/** Whether something in it, out of its envelopes, is not known. */
export function containsUnknown(value: unknown): boolean {
  return isUnknown(value) || (typeof value === "object" && value !== null && Object.values(value).some(containsUnknown));
}

/**
 * Properties taken out of Pulumi's envelopes: plain JSON, with {@link AssetValue}s for assets and ids for references to resources,
 * beside a note of where the envelopes were.
 */
export interface Opened<T = Properties> {
  value: T;
  secrets: Path[];
  assets: { path: Path; envelope: Properties }[];
}

export interface OpenOptions {
  /** `"keep"`: assets stay in their envelopes. @default "open" */
  assets?: "open" | "keep";
  /** What the paths of assets are relative to. @default this process's folder */
  folder?: string | undefined;
}

/** Takes everything out of its envelopes. */
export function open<T = Properties>(wire: unknown, { assets = "open", folder = process.cwd() }: OpenOptions = {}): Opened<T> {
  const opened: Opened<unknown> = { value: undefined, secrets: [], assets: [] };
  opened.value = unwrap(wire, [], opened, { keepAssets: assets === "keep", folder });
  return opened as Opened<T>;
}

/** The plain value, where it does not matter what was secret. */
export const plain = <T = Properties>(wire: unknown): T => open<T>(wire).value;

/**
 * Puts values back into the envelopes that they, or those at the same places, came in. Members that are `undefined` are left out, as JSON does.
 */
export function seal(value: Properties, { secrets, assets }: Pick<Opened, "secrets" | "assets">): Properties {
  let sealed: unknown = json(value);
  for (const { path, envelope } of assets) sealed = replace(sealed, path, (there) => (isAssetValue(there) ? envelope : there));
  // Inner secrets first: an outer envelope hides the path to what lies in it.
  for (const path of [...secrets].sort((a, b) => b.length - a.length)) sealed = replace(sealed, path, secret);
  return sealed as Properties;
}

/** Marks a value as a secret, once. */
export function secret(value: unknown): unknown {
  return value === undefined || isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

export function isSecret(wire: unknown): boolean {
  return signature(wire) === SECRET || (signature(wire) === OUTPUT && (wire as Properties).secret === true);
}

/** Whether a secret lies anywhere in it. */
export function containsSecret(wire: unknown): boolean {
  if (isSecret(wire)) return true;
  return typeof wire === "object" && wire !== null && Object.values(wire).some(containsSecret);
}

/** Values that are secret as well wherever `like` is, and at `additional` names. */
export function conceal(wire: Properties, like: Properties, additional: readonly string[] = []): Properties {
  const { value, secrets } = open(wire, { assets: "keep" });
  return seal(value, { secrets: [...secrets, ...open(like).secrets, ...additional.map((name) => [name])], assets: [] });
}

/** The same with every secret text made unreadable, still in its envelope. */
export function masked(wire: Properties): Properties {
  return mask(wire, false) as Properties;
}

function mask(wire: unknown, within: boolean): unknown {
  if (typeof wire === "string") return within ? "[secret]" : wire;
  if (typeof wire !== "object" || wire === null) return wire;
  if (Array.isArray(wire)) return wire.map((item) => mask(item, within));
  if (isSecret(wire)) return secret(mask((wire as Properties).value, true));
  return Object.fromEntries(Object.entries(wire).map(([key, item]) => [key, mask(item, within)]));
}

/** `"asset"`, `"archive"`, or `undefined` for what is neither. */
export function assetKind(wire: unknown): "asset" | "archive" | undefined {
  const kind = signature(wire);
  return kind === ASSET ? "asset" : kind === ARCHIVE ? "archive" : undefined;
}

export function isAssetValue(value: unknown): value is AssetValue {
  if (typeof value !== "object" || value === null) return false;
  const [key, ...more] = Object.keys(value);
  if (more.length > 0 || (key !== "asset" && key !== "archive")) return false;
  return typeof (value as Properties)[key]?.hash === "string";
}

/** Plain JSON of it: without `undefined`, and dates as text. */
export function json<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

function signature(wire: unknown): unknown {
  return typeof wire === "object" && wire !== null ? (wire as Properties)[SIGNATURE] : undefined;
}

function unwrap(wire: unknown, path: Path, found: Opened<unknown>, how: { keepAssets: boolean; folder: string }): unknown {
  if (typeof wire !== "object" || wire === null) return wire;
  if (Array.isArray(wire)) return wire.map((item, at) => unwrap(item, [...path, at], found, how));
  const envelope = wire as Properties;
  switch (signature(wire)) {
    case SECRET:
    case OUTPUT:
      if (isSecret(wire)) found.secrets.push(path);
      return "value" in envelope ? unwrap(envelope.value, path, found, how) : UNKNOWN;
    case RESOURCE:
      return envelope.id ?? envelope.urn;
    case ASSET:
    case ARCHIVE:
      if (how.keepAssets) return envelope;
      found.assets.push({ path, envelope });
      return assetValue(envelope, how.folder);
    default:
      return Object.fromEntries(Object.entries(wire).map(([key, item]) => [key, unwrap(item, [...path, key], found, how)]));
  }
}

function assetValue(envelope: Properties, folder: string): AssetValue {
  const { [SIGNATURE]: kind, path, text, uri, assets, hash } = envelope;
  if (typeof uri === "string" && uri !== "") throw new Error(`Assets from a URI are not emulated: ${uri}. Use a file, or a text.`);
  if (kind === ASSET) return { asset: path ? { path: resolve(folder, path), hash } : { text: text ?? "", hash } };
  if (path) return { archive: { path: resolve(folder, path), hash } };
  const inner = Object.entries(assets ?? {}).map(([name, item]) => [name, assetValue(item as Properties, folder)]);
  return { archive: { assets: Object.fromEntries(inner), hash } };
}

/** A copy in which the value at `path`, if there is one, is what `by` makes of it. */
function replace(value: unknown, [key, ...rest]: Path, by: (there: unknown) => unknown): unknown {
  if (key === undefined) return by(value);
  if (typeof value !== "object" || value === null || !(key in value)) return value;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Properties;
  copy[key] = replace(copy[key], rest, by);
  return copy;
}
