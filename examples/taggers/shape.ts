import type { Tagger } from "../../functions/core/ports.js";

/**
 * A tagger of one's own: `new ImagePipeline("photos", { tagger: "./examples/taggers/shape.ts" })`.
 *
 * The program packages it; it is called once per picture (pictures of the same bytes are remembered) with what is known of it, and a JPEG of
 * at most 1024 pixels a side for whoever wants to look, or to send it to a model.
 */
const tagger: Tagger = async ({ metadata, statistics, jpeg }) => [
  { name: metadata.width > metadata.height ? "Wide" : "Tall", confidence: 75 },
  { name: (await jpeg()).length > 20_000 ? "Detailed" : "Plain", confidence: 50 + 50 * statistics.sharpness },
];

export default tagger;
