import { XMLBuilder, XMLParser } from "fast-xml-parser";

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: "@", suppressEmptyNode: false, processEntities: true });
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: true,
  ignoreDeclaration: true,
  removeNSPrefix: true,
});

/** What an element holds: text, elements by name (a list repeats its element), or nothing. `"@name"` is an attribute. */
export type XmlContent = string | number | boolean | undefined | null | XmlContent[] | { [name: string]: XmlContent };

/** An XML document of one root element. Members that are `undefined` or `null` are left out. */
export function writeXml(root: string, content: XmlContent, { namespace }: { namespace?: string } = {}): string {
  const kept = prune(content) ?? "";
  const element = namespace && typeof kept === "object" && !Array.isArray(kept) ? { "@xmlns": namespace, ...kept } : kept;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${builder.build({ [root]: element })}`;
}

/** The content of a document's root element, every value as text, without white space between elements. @throws Error when it is not XML. */
// biome-ignore lint/suspicious/noExplicitAny: the caller knows which document it asked for.
export function readXml(text: string): { root: string; content: any } {
  const document = parser.parse(text, true) as Record<string, unknown>;
  const [root] = Object.keys(document);
  if (root === undefined) throw new Error("The document has no root element.");
  return { root, content: withoutBlanks(document[root]) };
}

function prune(content: XmlContent): XmlContent {
  if (content === undefined || content === null) return undefined;
  if (Array.isArray(content)) return content.map(prune).filter((item) => item !== undefined);
  if (typeof content !== "object") return String(content);
  return Object.fromEntries(
    Object.entries(content)
      .map(([name, value]) => [name, prune(value)] as const)
      .filter(([, value]) => value !== undefined),
  );
}

/** Text between elements is layout; text of an element without elements is its value, blanks included. */
function withoutBlanks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutBlanks);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== "#text")
      .map(([name, inner]) => [name, withoutBlanks(inner)]),
  );
}
