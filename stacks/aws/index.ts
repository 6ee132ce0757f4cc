import { ImagePipeline } from "../../components/aws/image-pipeline.js";
import type { ImagePipelineOutputs } from "../../components/contract.js";
import { pipelineArgs, text } from "../settings.js";

/** Keys of `image-pipeline:…` that only AWS knows. */
const OWN = { workflow: '"express" or "standard"' };

/** Config in, pipeline, outputs out. */
export default async function program(): Promise<Record<keyof ImagePipelineOutputs, unknown>> {
  const workflow = text("workflow") as "express" | "standard" | undefined;
  const photos = new ImagePipeline("photos", { ...pipelineArgs(OWN), ...(workflow && { aws: { workflow } }) });
  const { url, apiKey, uploads, thumbnails, topic, workflow: stateMachine, records, deadLetters } = photos;
  return { url, apiKey, uploads, thumbnails, topic, workflow: stateMachine, records, deadLetters };
}
