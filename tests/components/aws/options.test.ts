import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/aws/image-pipeline.js";
import { type Declared, recorded } from "../../declared.js";
import { type Difference, difference, on } from "../difference.js";
import { ARGUMENTS } from "../reviewed.js";
import { taggable } from "../taggable.js";

const STAGES = ["extract-metadata", "generate-thumbnails", "record-failure", "store-results", "validate"];
const HANDLERS = ["photos-api", "photos-clean-up", "photos-sweep", ...STAGES.map((stage) => `photos-workflow-${stage}`)];
const kinds = (kind: string) => HANDLERS.map((handler) => `${handler}-${kind}`);
const FUNCTIONS = kinds("function");
const inSettings = (path: string, value: unknown) => on(FUNCTIONS, `environment.variables.PIPELINE_SETTINGS.${path}`, value);

const TAGS = "arn:aws:dynamodb:eu-west-1:123456789012:table/photos-ImageTags-table";
const LABELLED = "arn:aws:s3:::photos-thumbnails-bucket/labels/*";
const grant = (policy: string, about: string, effect?: "Allow") => ({ [`photos-${policy}-policy policy.Statement.${about}`]: effect });

/** What Rekognition is asked for no more, nor its labels remembered by the workflow itself. */
const WITHOUT_REKOGNITION = {
  ...grant("workflow", `dynamodb:GetItem on ${TAGS}`),
  ...grant("workflow", "rekognition:DetectLabels on *"),
  ...grant("workflow", `s3:GetObject on ${LABELLED}`),
  ...grant("workflow-store-results", `dynamodb:PutItem on ${TAGS}`),
};
const INVOKED = "lambda:InvokeFunction on arn:aws:lambda:eu-west-1:123456789012:function:photos-workflow-detect-labels-function";
const LABELLER = ["function", "logs", "policy", "role"].map((kind) => `photos-workflow-detect-labels-${kind}`);

/** The state machine's definition has tests of its own: workflow-definition.test.ts. */
const withoutDefinition = ({ changed, ...others }: Difference): Difference => ({
  ...others,
  changed: Object.fromEntries(Object.entries(changed).filter(([path]) => !path.startsWith("photos-workflow-machine definition."))),
});

describe("An option on AWS changes this, and nothing else:", () => {
  let defaults: Declared[];
  before(async () => {
    defaults = await recorded(() => new ImagePipeline("photos"));
  });

  const options: Record<string, [ImagePipelineArgs, Partial<Difference>]> = {
    thumbnails: [
      { thumbnails: { card: { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 } } },
      {
        changed: {
          ...inSettings("variants.card", { width: 320, height: 200, fit: "inside", format: "webp", quality: 60 }),
          ...Object.assign(
            {},
            ...["small", "large"].map((variant) =>
              inSettings(`variants.${variant}`, {
                width: undefined,
                height: undefined,
                fit: undefined,
                format: undefined,
                quality: undefined,
              }),
            ),
          ),
        },
      },
    ],
    "limits.bytes": [{ limits: { bytes: "1 MB" } }, { changed: inSettings("limits.bytes", 1_000_000) }],
    "limits.pixels": [{ limits: { pixels: "1 MP" } }, { changed: inSettings("limits.pixels", 1_000_000) }],
    "metadata.gps": [{ metadata: { gps: true } }, { changed: inSettings("gps", true) }],
    "tagger: none": [
      { tagger: "none" },
      {
        changed: {
          ...inSettings("tagger", "none"),
          ...WITHOUT_REKOGNITION,
          ...grant("workflow-generate-thumbnails", `s3:PutObject on ${LABELLED}`),
        },
      },
    ],
    "tagger: statistics": [
      { tagger: "statistics" },
      {
        added: LABELLER,
        changed: {
          ...inSettings("tagger", "statistics"),
          ...WITHOUT_REKOGNITION,
          ...grant("workflow-generate-thumbnails", `s3:PutObject on ${LABELLED}`),
          ...grant("workflow", INVOKED, "Allow"),
        },
      },
    ],
    "tagger: a module": [
      { tagger: "./examples/taggers/shape.ts" },
      { added: LABELLER, changed: { ...inSettings("tagger", "module"), ...WITHOUT_REKOGNITION, ...grant("workflow", INVOKED, "Allow") } },
    ],
    "notify.email": [{ notify: { email: "ops@example.org" } }, { added: ["photos-alarms-email", "photos-results-email"] }],
    "auth: none": [
      { auth: "none" },
      {
        removed: ["photos-api-key-generated", "photos-api-key-secret", "photos-api-key-version"],
        changed: {
          ...inSettings("auth.kind", "none"),
          "photos-api-function environment.variables.API_KEY_SECRET": undefined,
          ...grant("api", "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:123456789012:secret:photos-api-key-secret"),
        },
      },
    ],
    "auth: jwt": [
      { auth: { jwt: { issuer: "https://id.example.org", audience: "photos" } } },
      {
        removed: ["photos-api-key-generated", "photos-api-key-secret", "photos-api-key-version"],
        changed: {
          ...inSettings("auth", {
            kind: "jwt",
            issuer: "https://id.example.org",
            audience: "photos",
            jwksUri: "https://id.example.org/.well-known/jwks.json",
          }),
          "photos-api-function environment.variables.API_KEY_SECRET": undefined,
          ...grant("api", "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:123456789012:secret:photos-api-key-secret"),
        },
      },
    ],
    apiKey: [
      { apiKey: "0123456789abcdef" },
      { removed: ["photos-api-key-generated"], changed: { "photos-api-key-version secretString": "0123456789abcdef" } },
    ],
    origins: [
      { origins: ["https://app.example.org"] },
      {
        changed: {
          "photos-uploads-cors corsRules": [
            {
              allowedMethods: ["PUT", "POST"],
              allowedOrigins: ["https://photos-http-api.execute-api.eu-west-1.amazonaws.com", "https://app.example.org"],
              allowedHeaders: ["content-type", "if-none-match", "x-amz-meta-user"],
              exposeHeaders: ["ETag"],
              maxAgeSeconds: 3_600,
            },
          ],
        },
      },
    ],
    removal: [
      { removal: "retain" },
      {
        changed: {
          ...on(["photos-ImageProcessingDb-table", "photos-ImageTags-table"], "deletionProtectionEnabled", true),
          ...on(["photos-ImageProcessingDb-table", "photos-ImageTags-table"], "retainOnDelete", true),
          ...on(["photos-thumbnails-bucket", "photos-uploads-bucket"], "forceDestroy", false),
          ...on(
            ["uploads", "thumbnails"].flatMap((store) =>
              ["bucket", "encryption", "lifecycle", "ownership", "policy", "public-access"].map((child) => `photos-${store}-${child}`),
            ),
            "retainOnDelete",
            true,
          ),
          ...on(["photos-uploads-cors", "photos-uploads-notification"], "retainOnDelete", true),
          ...on(["photos-api-key-secret", "photos-api-key-version"], "retainOnDelete", true),
        },
      },
    ],
    recovery: [
      { recovery: { days: 14 } },
      {
        added: ["photos-uploads-versioning"],
        changed: {
          "photos-api-key-secret recoveryWindowInDays": 14,
          "photos-uploads-lifecycle rules": [
            { id: "broken-uploads", status: "Enabled", filter: {}, abortIncompleteMultipartUpload: { daysAfterInitiation: 1 } },
            {
              id: "replaced-versions",
              status: "Enabled",
              filter: {},
              noncurrentVersionExpiration: { noncurrentDays: 14 },
              expiration: { expiredObjectDeleteMarker: true },
            },
          ],
        },
      },
    ],
    "logs.retention": [
      { logs: { retention: "90 days" } },
      { changed: on([...kinds("logs"), "photos-http-logs", "photos-workflow-logs"], "retentionInDays", 90) },
    ],
    "aws.workflow": [{ aws: { workflow: "standard" } }, { changed: { "photos-workflow-machine type": "STANDARD" } }],
  };
  for (const [option, [args, expected]] of Object.entries(options)) {
    it(option, async () => {
      const found = difference(defaults, await recorded(() => new ImagePipeline("photos", args)));
      assert.deepEqual(option.startsWith("tagger") ? withoutDefinition(found) : found, {
        added: [],
        removed: [],
        changed: {},
        ...expected,
      });
    });
  }

  it("tags, which are on whatever can carry them", async () => {
    const declared = await recorded(() => new ImagePipeline("photos", { tags: { team: "photos" } }));
    const { added, removed, changed } = difference(defaults, declared);
    assert.deepEqual([added, removed], [[], []]);
    assert.deepEqual(changed, on(await taggable(declared), "tags", { team: "photos" }));
  });

  it("is listed here", () => {
    const told = new Set(Object.keys(options).map((option) => option.split(/[.:]/)[0]));
    const others = ["source", "tags", "transform"];
    const all: Record<keyof ImagePipelineArgs, true> = { ...ARGUMENTS, aws: true, transform: true };
    assert.deepEqual([...told, ...others].sort(), Object.keys(all).sort());
  });
});
