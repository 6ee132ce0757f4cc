import { z } from "zod";
import type { Metadata } from "../core/record.js";
import { Tag } from "../core/record.js";
import type { Thumbnails } from "../core/stages/generate-thumbnails.js";
import type { ValidImage } from "../core/stages/validate.js";
import { checkedTags } from "../core/taggers/checked.js";

/** What the workflow has gathered of an image once the stages have looked at it; see components/aws/workflow-definition.ts. */
export interface Findings extends ValidImage {
  found: { metadata: Metadata; thumbnails: Thumbnails };
  /** Of the stage DetectLabels: our handler's tags, or Rekognition's labels. */
  labels?: { tags: Tag[] } | { labels: unknown };
  /** Labels that were remembered for these bytes, as DynamoDB tells them. */
  recalled?: { Item?: { Labels?: { S: string }; Tagger?: { S: string } } };
}

const RekognitionLabels = z.array(z.looseObject({ Name: z.string(), Confidence: z.number() }));

/** Rekognition's labels, found just now. */
export function cloudLabels({ labels }: Findings): Tag[] | undefined {
  if (!labels || !("labels" in labels)) return undefined;
  return checkedTags(RekognitionLabels.parse(labels.labels).map(({ Name, Confidence }) => ({ name: Name, confidence: Confidence })));
}

/** The image's tags, whoever found them. None where nobody looked, or where Rekognition does not look at such pictures. */
export function tagsOf(findings: Findings): Tag[] {
  const { labels, recalled } = findings;
  if (labels && "tags" in labels) return labels.tags;
  const found = cloudLabels(findings);
  if (found) return found;
  const { Labels, Tagger } = recalled?.Item ?? {};
  return Labels && Tagger?.S === "cloud" ? z.array(Tag).parse(JSON.parse(Labels.S)) : [];
}
