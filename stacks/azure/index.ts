import { ImagePipeline, type ImagePipelineArgs } from "../../components/azure/image-pipeline.js";
import type { ImagePipelineOutputs } from "../../components/contract.js";
import { json, pipelineArgs, text } from "../settings.js";

/** Keys of `image-pipeline:…` that only Azure knows. */
const OWN = {
  container: "name of the container that images arrive in",
  sourceResourceGroup: "resource group of the adopted account",
  sourceSystemTopic: "the adopted account's system topic, if it has one",
  alwaysReady: "instances of the app that always run: 0 to 20",
  sqlAdministrator: "JSON: { login, sid, principalType }",
};

/** Config in, pipeline, outputs out. */
export default async function program(): Promise<Record<keyof ImagePipelineOutputs, unknown>> {
  const args = pipelineArgs(OWN);
  const [container, resourceGroup, systemTopic, alwaysReady] = [
    text("container"),
    text("sourceResourceGroup"),
    text("sourceSystemTopic"),
    text("alwaysReady"),
  ];
  const sqlAdministrator = json("sqlAdministrator", OWN.sqlAdministrator);
  const source = (resourceGroup || systemTopic) && { ...(resourceGroup && { resourceGroup }), ...(systemTopic && { systemTopic }) };
  // The pipeline checks what belongs together.
  const azure = {
    ...(container && { container }),
    ...(source && { source }),
    ...(alwaysReady && { alwaysReady: Number(alwaysReady) }),
    ...(sqlAdministrator !== undefined && { sqlAdministrator }),
  };
  const photos = new ImagePipeline("photos", { ...args, azure } as ImagePipelineArgs);
  const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters } = photos;
  return { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters };
}
