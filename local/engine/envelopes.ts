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

/**
 * Properties taken out of Pulumi's envelopes: plain JSON, with {@link AssetValue}s for assets and ids for references to resources,
 * beside a note of where the envelopes were.
 */
export interface Opened<T = Properties> {
  value: T;
  secrets: Path[];
  assets: { path: Path; envelope: Properties }[];
}

/** Takes everything out of its envelopes; assets only where `assets` does not say to keep theirs. */
export function open<T = Properties>(wire: unknown, { assets = "open" }: { assets?: "open" | "keep" } = {}): Opened<T> {
  const opened: Opened<unknown> = { value: undefined, secrets: [], assets: [] };
  opened.value = unwrap(wire, [], opened, assets === "keep");
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

function unwrap(wire: unknown, path: Path, found: Opened<unknown>, keepAssets: boolean): unknown {
  if (typeof wire !== "object" || wire === null) return wire;
  if (Array.isArray(wire)) return wire.map((item, at) => unwrap(item, [...path, at], found, keepAssets));
  const envelope = wire as Properties;
  switch (signature(wire)) {
    case SECRET:
    case OUTPUT:
      if (isSecret(wire)) found.secrets.push(path);
      return unwrap(envelope.value, path, found, keepAssets);
    case RESOURCE:
      return envelope.id ?? envelope.urn;
    case ASSET:
    case ARCHIVE:
      if (keepAssets) return envelope;
      found.assets.push({ path, envelope });
      return assetValue(envelope);
    default:
      return Object.fromEntries(Object.entries(wire).map(([key, item]) => [key, unwrap(item, [...path, key], found, keepAssets)]));
  }
}

function assetValue(envelope: Properties): AssetValue {
  const { [SIGNATURE]: kind, path, text, uri, assets, hash } = envelope;
  if (typeof uri === "string" && uri !== "") throw new Error(`Assets from a URI are not emulated: ${uri}. Use a file, or a text.`);
  if (kind === ASSET) return { asset: path ? { path: resolve(path), hash } : { text: text ?? "", hash } };
  if (path) return { archive: { path: resolve(path), hash } };
  const inner = Object.entries(assets ?? {}).map(([name, item]) => [name, assetValue(item as Properties)]);
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
