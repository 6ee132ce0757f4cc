import tagger from "virtual:tagger";
import { codeVersion } from "../core/code-version.js";
import type { Tag } from "../core/record.js";
import { detectLabels } from "../core/stages/detect-labels.js";
import { dynamodb, s3 } from "./clients.js";
import { environment } from "./environment.js";
import type { Findings } from "./findings.js";
import { S3ObjectStore } from "./object-store.js";
import { DynamoTagIndex } from "./tag-index.js";

const { TAGS_TABLE, THUMBNAILS_BUCKET } = environment("TAGS_TABLE", "THUMBNAILS_BUCKET");
const tags = new DynamoTagIndex(dynamodb(), TAGS_TABLE, `module ${codeVersion()}`);
const variants = new S3ObjectStore(s3(), THUMBNAILS_BUCKET);

/** DetectLabels by a team's own tagger. */
export function handler({ input }: { input: Findings }): Promise<Tag[]> {
  const { metadata, thumbnails } = input.found;
  return detectLabels({ key: input.run.key, metadata, thumbnails }, { tags, variants, tagger });
}
