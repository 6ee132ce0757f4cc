import { randomUUID } from "node:crypto";
import sharp from "sharp";
import { armResource, sameId } from "../../kernel/azure/arm.js";
import { tokenGuard } from "../../kernel/azure/authority.js";
import { restProtocol, SHARED_ENDPOINT } from "../../kernel/azure/rest.js";
import type { Cloud } from "../../kernel/cloud.js";
import { CloudError, type Resource, type Service } from "../../kernel/service.js";
import { label, MODEL_VERSION } from "../vision/labeller.js";

const ACCOUNT = "azure-native:cognitiveservices:Account";
const LARGEST = 20 * 1024 * 1024;
const [SMALLEST_SIDE, LONGEST_SIDE] = [50, 16_000];

/** AI Vision's image analysis in its wire format; the tags come from pixel statistics and say so in `modelVersion`. */
export default function cognitiveServices(): Service {
  return {
    name: "cognitiveservices",
    resources: { [ACCOUNT]: account },
    api: {
      endpoints: [SHARED_ENDPOINT],
      guard: tokenGuard("https://cognitiveservices.azure.com"),
      protocol: restProtocol([
        {
          operation: "AnalyzeImage",
          method: "POST",
          path: /^\/cognitiveservices\/(?<account>[^/]+)\/computervision\/imageanalysis:analyze$/,
        },
      ]),
      operations: {
        AnalyzeImage: {
          needs: ({ account: name }, cloud) => [
            {
              action: "Microsoft.CognitiveServices/accounts/ComputerVision/imageanalysis:analyze/action",
              resource: accountNamed(name, cloud).id,
            },
          ],
          async handle({ query, headers, body }) {
            const { "api-version": version, features = "" } = query;
            if (!["2023-10-01", "2024-02-01"].includes(version)) {
              throw new CloudError("BadRequest", `api-version is "${version}": the embedded cloud answers 2023-10-01 and 2024-02-01.`);
            }
            if (features !== "tags")
              throw new CloudError("InvalidRequest", `features is "${features}": the embedded cloud analyses "tags" only.`);
            if (!/^(application\/octet-stream|image\/)/.test(headers["content-type"] ?? "")) {
              throw new CloudError(
                "UnsupportedMediaType",
                `The content type is "${headers["content-type"]}": send the image as application/octet-stream.`,
                415,
              );
            }
            const { width, height } = await dimensionsOf(body);
            const values = (await label(body)).map(({ name, confidence }) => ({ name: name.toLowerCase(), confidence: confidence / 100 }));
            return { modelVersion: MODEL_VERSION, metadata: { width, height }, tagsResult: { values } };
          },
        },
      },
    },
  };
}

/** What is wrong with an image is told within: the outer error is always that the request is wrong. */
const refused = (code: string, message: string) => new CloudError("InvalidRequest", message, 400, { inner: { code, message } });

async function dimensionsOf(image: Buffer): Promise<{ width: number; height: number }> {
  if (image.length === 0 || image.length > LARGEST)
    throw refused("InvalidImageSize", `The image has ${image.length} bytes: it must have 1 to ${LARGEST}.`);
  const { width, height } = await sharp(image)
    .metadata()
    .catch(() => {
      throw refused("InvalidImageFormat", "The image format is not supported, or the image is damaged.");
    });
  if (Math.min(width, height) < SMALLEST_SIDE || Math.max(width, height) > LONGEST_SIDE) {
    throw refused(
      "InvalidImageDimension",
      `The image has ${width} × ${height} pixels: each side must have ${SMALLEST_SIDE} to ${LONGEST_SIDE}.`,
    );
  }
  return { width, height };
}

function accountNamed(name: string, { resources }: Cloud): Resource {
  const found = resources.all(ACCOUNT).find(({ outputs }) => outputs.name === name);
  if (!found) throw new CloudError("ResourceNotFound", `There is no account "${name}".`, 404);
  return found;
}

const account = armResource({
  type: "Microsoft.CognitiveServices/accounts",
  apiVersion: "2025-06-01",
  inputs: [
    "resourceGroupName",
    "accountName",
    "location",
    "tags",
    "kind",
    "sku.name",
    "properties.customSubDomainName",
    "properties.disableLocalAuth",
    "properties.publicNetworkAccess",
  ],
  named: { input: "accountName", maxLength: 64, style: "plain" },
  replacedBy: ["kind", "properties.customSubDomainName"],
  location: "regional",
  systemData: true,
  check(inputs, cloud) {
    const { kind, sku, properties = {}, accountName } = inputs;
    if (kind !== "ComputerVision") throw new CloudError("InvalidApiSetId", `kind is "${kind}": the embedded cloud has ComputerVision.`);
    if (!["F0", "S1"].includes(sku?.name)) throw new CloudError("InvalidSku", `sku.name is "${sku?.name}": ComputerVision has F0 and S1.`);
    const domain = properties.customSubDomainName;
    const taken = cloud.resources.all(ACCOUNT).find(({ outputs }) => sameId(outputs.properties.customSubDomainName, domain));
    if (taken && taken.outputs.name !== accountName)
      throw new CloudError("CustomDomainInUse", `The subdomain name "${domain}" is already used.`, 409);
    return inputs;
  },
  outputs: async ({ kind, sku, properties = {} }, { name, cloud, before }) => ({
    kind,
    sku,
    etag: before?.outputs.etag ?? `"${randomUUID()}"`,
    properties: {
      ...properties,
      endpoint: `${(await cloud.secure(SHARED_ENDPOINT)).url}/cognitiveservices/${name}/`,
      provisioningState: "Succeeded",
      dateCreated: before?.outputs.properties.dateCreated ?? cloud.now().toISOString(),
    },
  }),
});
