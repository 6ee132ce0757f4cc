import { z } from "zod";
import type { Tagger } from "../core/ports.js";
import { type Call, ServiceError } from "./rest.js";

/** Pixels that a picture has to have on each side, for AI Vision. */
export const SMALLEST = 50;

/** How sure AI Vision has to be of a label (0–100), and how many are kept. */
const LABELS = { least: 55, most: 20 };

/** Pictures that AI Vision does not look at. That costs an image its labels, and nothing else. */
const NOT_LABELLED = ["InvalidImageSize", "InvalidImageFormat", "InvalidImageDimension", "NotSupportedImage"];

const Analysis = z.looseObject({
  tagsResult: z.looseObject({ values: z.array(z.looseObject({ name: z.string(), confidence: z.number().min(0).max(1) })) }),
});

/** Labels by AI Vision. */
export function vision(call: Call, endpoint: string): Tagger {
  const url = new URL("computervision/imageanalysis:analyze?api-version=2023-10-01&features=tags", `${endpoint.replace(/\/$/, "")}/`);
  return async ({ jpeg }) => {
    try {
      const body = await jpeg();
      const { tagsResult } = Analysis.parse(await call(url, { method: "POST", contentType: "application/octet-stream", body }));
      return tagsResult.values
        .map(({ name, confidence }) => ({ name, confidence: confidence * 100 }))
        .filter(({ confidence }) => confidence >= LABELS.least)
        .sort((a, b) => b.confidence - a.confidence)
        .slice(0, LABELS.most);
    } catch (error) {
      if (error instanceof ServiceError && error.status === 400 && NOT_LABELLED.includes(error.name)) return [];
      throw error;
    }
  };
}
