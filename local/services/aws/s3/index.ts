import { parseArn } from "../../../kernel/aws/arn.js";
import type { Service } from "../../../kernel/service.js";
import { bucketOperations } from "./operations/buckets.js";
import { multipartOperations } from "./operations/multipart.js";
import { objectOperations } from "./operations/objects.js";
import { s3Protocol } from "./protocol.js";
import { bucketFunctions, bucketResources } from "./resources.js";
import { Storage } from "./storage.js";

/** Amazon S3: buckets with or without versions, addressed path-style, with objects in files. */
export default function s3(): Service {
  const storage = new Storage();
  return {
    name: "s3",
    resources: bucketResources(storage),
    functions: bucketFunctions(storage),
    api: {
      protocol: s3Protocol(storage),
      operations: { ...objectOperations(storage), ...multipartOperations(storage), ...bucketOperations(storage) },
      policyOf(resource) {
        const [bucket = ""] = parseArn(resource)?.resource.split("/") ?? [];
        return storage.store.bucket(bucket)?.configuration.policy;
      },
    },
    start: async (cloud, folder) => storage.open(cloud, folder),
    stop: async () => storage.close(),
  };
}
