import { CloudError, type Properties, type Protocol } from "../../service.js";
import { signingName } from "../sigv4.js";
import { writeXml, type XmlContent } from "./xml.js";

export interface QueryProtocolOptions {
  /** The service's name in signatures: `"sns"`. */
  signing: string;
  /** Version of the API, which unsigned requests are known by: `"2010-03-31"`. */
  version: string;
  namespace: string;
}

/**
 * awsQuery: forms in, XML out.
 * In: `Name.member.N` is a list, `Name.entry.N.key|value` (or `Name|Value`) a map. Out: arrays become `member` lists, `Map`s become `entry` lists.
 */
export function queryProtocol({ signing, version, namespace }: QueryProtocolOptions): Protocol {
  return {
    claims(request) {
      if (!/^application\/x-www-form-urlencoded/.test(request.headers["content-type"] ?? "")) return false;
      const named = signingName(request);
      return named === undefined ? new URLSearchParams(request.body.toString("utf8")).get("Version") === version : named === signing;
    },

    async decode(request) {
      const form = new URLSearchParams(request.body.toString("utf8"));
      const operation = form.get("Action");
      if (!operation) throw new CloudError("MissingAction", "The request needs an Action.", 400);
      form.delete("Action");
      form.delete("Version");
      return { operation, input: nest(form) };
    },

    encode(operation, output, _request, requestId) {
      const result = Object.keys(output).length > 0 ? { [`${operation}Result`]: members(output) } : {};
      const body = writeXml(`${operation}Response`, { ...result, ResponseMetadata: { RequestId: requestId } }, { namespace });
      return { status: 200, headers: { "content-type": "text/xml" }, body };
    },

    encodeError({ code, message, status }, _request, requestId) {
      const Type = status >= 500 ? "Receiver" : "Sender";
      const body = writeXml("ErrorResponse", { Error: { Type, Code: code, Message: message }, RequestId: requestId }, { namespace });
      return { status, headers: { "content-type": "text/xml" }, body };
    },
  };
}

function nest(form: URLSearchParams): Properties {
  const root: Properties = Object.create(null);
  for (const [path, value] of form) {
    const steps = path.split(".");
    let at = root;
    for (const step of steps.slice(0, -1)) {
      if (typeof at[step] !== "object") at[step] = Object.create(null);
      at = at[step];
    }
    at[steps.at(-1)!] = value;
  }
  return gather(root) as Properties;
}

function gather(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { member, entry, ...rest } = value as Properties;
  if (member !== undefined && Object.keys(rest).length === 0) return numbered(member).map(gather);
  if (entry !== undefined && Object.keys(rest).length === 0) {
    return Object.fromEntries(numbered(entry).map((item) => [item?.key ?? item?.Name, gather(item?.value ?? item?.Value)]));
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, gather(inner)]));
}

/** `{1: a, 2: b}` → `[a, b]` */
function numbered(list: Properties): Properties[] {
  if (typeof list !== "object") return [];
  return Object.keys(list)
    .sort((a, b) => Number(a) - Number(b))
    .map((position) => list[position]);
}

function members(value: unknown): XmlContent {
  if (value instanceof Map) return { entry: [...value].map(([key, inner]) => ({ key, value: members(inner) })) };
  if (Array.isArray(value)) return { member: value.map(members) };
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, members(inner)]));
  return value as XmlContent;
}
