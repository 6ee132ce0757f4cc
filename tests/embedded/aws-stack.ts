import { S3Client } from "@aws-sdk/client-s3";
import type { ResourceTransform } from "@pulumi/pulumi";
import { ImagePipeline, type ImagePipelineArgs } from "../../components/aws/image-pipeline.js";
import { type EmbeddedStack, type StackOptions, startStack } from "../../local/index.js";
import { Client } from "../conformance/client.js";

/** A pipeline on the embedded cloud, in this process: what a test looks at beside URL and key. */
export interface EmbeddedAws {
  stack: EmbeddedStack;
  client: Client;
  /** S3 as the account's owner sees it. */
  s3: S3Client;
}

/** Runs `new ImagePipeline("photos", args)` on an embedded AWS. */
export async function startPipeline(
  args: ImagePipelineArgs = {},
  { transforms = [], ...options }: { transforms?: ResourceTransform[] } & Partial<StackOptions> = {},
): Promise<EmbeddedAws> {
  const stack = await startStack({
    project: "tests",
    stack: "aws",
    config: { "aws:region": "eu-west-1" },
    clouds: ["aws"],
    program: async () => {
      const photos = new ImagePipeline("photos", args, { transforms });
      const { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters } = photos;
      return { url, apiKey, uploads, thumbnails, topic, workflow, records, deadLetters };
    },
    ...options,
  });
  const { cloud, outputs } = stack;
  const s3 = new S3Client({ endpoint: cloud.url, region: cloud.region, credentials: cloud.accountCredentials });
  return { stack, client: new Client({ url: outputs.url, key: outputs.apiKey }), s3 };
}

/** Takes an action out of the policy whose logical name matches: the grant that somebody forgot. */
export function withoutGrant(policy: RegExp, action: string): ResourceTransform {
  return ({ type, name, props, opts }) => {
    if (type !== "aws:iam/rolePolicy:RolePolicy" || !policy.test(name)) return undefined;
    const strip = (document: { Statement: { Action: string | string[] }[] }) => ({
      ...document,
      Statement: document.Statement.flatMap((statement) => {
        const actions = [statement.Action].flat().filter((candidate) => candidate !== action);
        return actions.length ? [{ ...statement, Action: actions }] : [];
      }),
    });
    return {
      props: { ...props, policy: typeof props.policy === "string" ? JSON.stringify(strip(JSON.parse(props.policy))) : strip(props.policy) },
      opts,
    };
  };
}
