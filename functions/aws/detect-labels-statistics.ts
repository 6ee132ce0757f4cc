import { codeVersion } from "../core/code-version.js";
import type { ObjectStore } from "../core/ports.js";
import type { Tag } from "../core/record.js";
import { detectLabels } from "../core/stages/detect-labels.js";
import { statistics } from "../core/taggers/statistics.js";
import { dynamodb } from "./clients.js";
import { environment } from "./environment.js";
import type { Findings } from "./findings.js";
import { DynamoTagIndex } from "./tag-index.js";

const { TAGS_TABLE } = environment("TAGS_TABLE");
const tags = new DynamoTagIndex(dynamodb(), TAGS_TABLE, `statistics ${codeVersion()}`);

/** No picture is looked at: what is to be known of the pixels has been measured. */
const variants = {} as ObjectStore;

/** DetectLabels by the statistics of the pixels, which the one decode has measured already. */
export function handler({ input }: { input: Findings }): Promise<Tag[]> {
  const { metadata, thumbnails } = input.found;
  return detectLabels({ key: input.run.key, metadata, thumbnails }, { tags, variants, tagger: statistics });
}
