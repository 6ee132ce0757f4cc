import { ImagePipeline, type ImagePipelineArgs } from "../../components/azure/image-pipeline.js";
import type { ImagePipelineOutputs } from "../../components/contract.js";
import { json, pipelineArgs, text } from "../settings.js";

/** Keys of `image-pipeline:…` that only Azure knows. */
const OWN = {
  hosting: '"functions" or "kubernetes"',
  container: "name of the container that images arrive in",
  sourceResourceGroup: "resource group of the adopted account",
  sourceSystemTopic: "the adopted account's system topic, if it has one",
  alwaysReady: "instances of the app that always run: 0 to 20",
  maximumInstances: "most instances of the app: 1 to 1000",
  sqlAdministrator: "JSON: { login, sid, principalType }",
  processed: "name of the container that processed images go to",
  image: "an image that is there, by its digest: registry.example.org/pipeline@sha256:…",
  namespace: "the Kubernetes namespace",
  tls: '"self-signed", "none", or JSON (a secret): { certificate, key, host } or { ingress }',
  replicas: "JSON: { uploader?: { min?, max? }, processor?: { min?, max? } }",
  nodes: "JSON: { size?, min?, max? }",
  version: 'Kubernetes\' minor version: "1.35"',
  tier: '"Free" or "Standard"',
  authorizedRanges: "JSON: list of CIDR ranges that may reach the cluster's API",
  login: '"token" or "kubelogin"',
};

/** Keys whose text is an option as it is, and those whose JSON is. */
const TEXTS = ["hosting", "container", "processed", "image", "namespace", "version", "tier", "login"] as const;
const VALUES = ["sqlAdministrator", "replicas", "nodes", "authorizedRanges"] as const;

/** Config in, pipeline, outputs out. */
export default async function program(): Promise<Record<keyof ImagePipelineOutputs, unknown> & { certificate?: unknown }> {
  const args = pipelineArgs(OWN);
  const [resourceGroup, systemTopic] = [text("sourceResourceGroup"), text("sourceSystemTopic")];
  const source = (resourceGroup || systemTopic) && { ...(resourceGroup && { resourceGroup }), ...(systemTopic && { systemTopic }) };
  // The pipeline checks what belongs together.
  const azure = {
    ...set(TEXTS, text),
    ...set(VALUES, (key) => json(key, OWN[key])),
    ...(source && { source }),
    ...set(["alwaysReady", "maximumInstances"], number),
    ...set(["tls"], tls),
  };
  const photos = new ImagePipeline("photos", { ...args, azure } as ImagePipelineArgs);
  const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters, certificate } = photos;
  const outputs = { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters };
  return azure.hosting === "kubernetes" ? { ...outputs, certificate } : outputs;
}

function number(key: string): number | undefined {
  const value = text(key);
  return value ? Number(value) : undefined;
}

/** A word, or JSON. */
function tls(): unknown {
  const value = text("tls");
  return value?.startsWith("{") ? json("tls", OWN.tls) : value;
}

/** What is set of these. */
function set<Key extends string>(keys: readonly Key[], read: (key: Key) => unknown): Partial<Record<Key, unknown>> {
  const entries = keys.map((key) => [key, read(key)] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== "")) as Partial<Record<Key, unknown>>;
}
