import type { Tagger, TaggerInput } from "../ports.js";
import type { Tag } from "../record.js";

const MOST_TAGS = 50;
const LONGEST_NAME = 100;

/** A tagger returned what are no tags: a mistake in the tagger, not in the image. */
export class InvalidTags extends Error {
  override readonly name = "InvalidTags";
  readonly code = "INVALID_TAGS";
}

/** What a tagger says of an image, checked: a team's own may return anything. @throws InvalidTags */
export async function tagsOf(tagger: Tagger, image: TaggerInput): Promise<Tag[]> {
  return checkedTags(await tagger(image));
}

/**
 * Tags as they may be stored: surest first, each name once (with its highest confidence), confidence with two decimals.
 *
 * @throws InvalidTags naming the first thing that is wrong.
 */
export function checkedTags(returned: unknown): Tag[] {
  if (!Array.isArray(returned)) throw invalid("it", returned, "a list of { name, confidence }");
  const surest = new Map<string, number>();
  for (const [index, tag] of returned.entries()) {
    if (typeof tag !== "object" || tag === null) throw invalid(`item ${index}`, tag, "an object { name, confidence }");
    const { name, confidence } = tag as Partial<Tag>;
    const trimmed = typeof name === "string" ? name.normalize("NFC").trim() : "";
    if (trimmed === "" || [...trimmed].length > LONGEST_NAME || /[\p{Cc}\p{Surrogate}]/u.test(trimmed)) {
      throw invalid(`the name of item ${index}`, name, `text of 1 to ${LONGEST_NAME} characters, none of them control characters`);
    }
    if (typeof confidence !== "number" || !(confidence >= 0 && confidence <= 100)) {
      throw invalid(`the confidence of item ${index} (${JSON.stringify(trimmed)})`, confidence, "a number from 0 to 100");
    }
    surest.set(trimmed, Math.max(surest.get(trimmed) ?? 0, Math.round(confidence * 100) / 100));
  }
  if (surest.size > MOST_TAGS)
    throw new InvalidTags(
      `The tagger's answer is wrong: it has ${surest.size} different tags, and at most ${MOST_TAGS} are kept: return the surest.`,
    );
  return [...surest]
    .map(([name, confidence]) => ({ name, confidence }))
    .sort((a, b) => b.confidence - a.confidence || (a.name < b.name ? -1 : 1));
}

function invalid(what: string, value: unknown, allowed: string): InvalidTags {
  const shown = typeof value === "number" || value === undefined ? String(value) : (JSON.stringify(value)?.slice(0, 200) ?? typeof value);
  return new InvalidTags(`The tagger's answer is wrong: ${what} is ${shown}, and must be ${allowed}.`);
}
