import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../components/azure/image-pipeline.js";
import { type Declared, recorded } from "../../declared.js";
import { SUBSCRIPTION } from "../../declared-azure.js";
import { type Difference, difference, on } from "../difference.js";
import { ARGUMENTS } from "../reviewed.js";
import { taggable } from "../taggable.js";

const setting = (path: string, value: unknown) => on(["photos-app-app"], `siteConfig.appSettings.${path}`, value);
const inSettings = (path: string, value: unknown) => setting(`PIPELINE_SETTINGS.${path}`, value);
const KEY = ["photos-api-key-generated", "photos-api-key-secret", "photos-api-key-vault", "photos-may-read-key"];
const withoutVision = (tagger: string): Partial<Difference> => ({
  removed: ["photos-may-look", "photos-vision-account"],
  changed: { ...inSettings("tagger", tagger), ...setting("VISION_ENDPOINT", undefined) },
});
const CODE = /^photos-app-code (path|sha256)$/;

describe("An option on Azure changes this, and nothing else:", () => {
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
    "tagger: none": [{ tagger: "none" }, withoutVision("none")],
    "tagger: statistics": [{ tagger: "statistics" }, withoutVision("statistics")],
    // Its code is another one, too: asserted below.
    "tagger: a module": [{ tagger: "./examples/taggers/shape.ts" }, withoutVision("module")],
    "notify.email": [
      { notify: { email: "ops@example.org" } },
      {
        added: ["photos-email-communication", "photos-email-domain", "photos-email-service", "photos-may-mail"],
        changed: {
          "photos-alarm-group emailReceivers": [{ emailAddress: "ops@example.org", name: "email", useCommonAlertSchema: true }],
          ...setting("EMAIL_ENDPOINT", "https://photos-email-communication.europe.communication.azure.com"),
          ...setting("EMAIL_SENDER", "DoNotReply@0a1b2c3d.azurecomm.net"),
          ...setting("EMAIL_RECIPIENT", "ops@example.org"),
        },
      },
    ],
    "auth: none": [
      { auth: "none" },
      { removed: KEY, changed: { ...inSettings("auth.kind", "none"), ...setting("API_KEY_SECRET_URI", undefined) } },
    ],
    "auth: jwt": [
      { auth: { jwt: { issuer: "https://id.example.org", audience: "photos" } } },
      {
        removed: KEY,
        changed: {
          ...inSettings("auth", {
            kind: "jwt",
            issuer: "https://id.example.org",
            audience: "photos",
            jwksUri: "https://id.example.org/.well-known/jwks.json",
          }),
          ...setting("API_KEY_SECRET_URI", undefined),
        },
      },
    ],
    apiKey: [
      { apiKey: "0123456789abcdef" },
      { removed: ["photos-api-key-generated"], changed: { "photos-api-key-secret properties.value": "0123456789abcdef" } },
    ],
    origins: [
      { origins: ["https://app.example.org"] },
      {
        changed: {
          "photos-images-blobs cors.corsRules": [
            {
              allowedMethods: ["PUT"],
              allowedOrigins: ["https://photos-app-app.azurewebsites.net", "https://app.example.org"],
              allowedHeaders: ["content-type", "if-none-match", "x-ms-blob-type", "x-ms-meta-*"],
              exposedHeaders: ["ETag"],
              maxAgeInSeconds: 3_600,
            },
          ],
        },
      },
    ],
    removal: [
      { removal: "retain" },
      {
        changed: on(
          [
            "photos-group",
            ...["account", "blobs", "dead-letters", "lifecycle", "thumbnails", "uploads"].map((child) => `photos-images-${child}`),
            ...["database", "firewall", "server"].map((child) => `photos-records-${child}`),
            ...["secret", "vault"].map((child) => `photos-api-key-${child}`),
            ...["account", "jobs", "packages", "parked", "poison", "tags"].map((child) => `photos-state-${child}`),
          ],
          "retainOnDelete",
          true,
        ),
      },
    ],
    recovery: [
      { recovery: { days: 14 } },
      {
        changed: {
          "photos-api-key-vault properties.enablePurgeProtection": true,
          "photos-api-key-vault properties.softDeleteRetentionInDays": 14,
          ...on(["photos-images-blobs"], "deleteRetentionPolicy.enabled", true),
          ...on(["photos-images-blobs"], "deleteRetentionPolicy.days", 14),
          ...on(["photos-images-blobs"], "containerDeleteRetentionPolicy.enabled", true),
          ...on(["photos-images-blobs"], "containerDeleteRetentionPolicy.days", 14),
        },
      },
    ],
    "logs.retention": [{ logs: { retention: "90 days" } }, { changed: { "photos-monitoring-workspace retentionInDays": 90 } }],
    "azure.container": [
      { azure: { container: "photos-in" } },
      {
        changed: {
          ...setting("UPLOADS_CONTAINER", "photos-in"),
          "photos-images-uploads containerName": "photos-in",
          "photos-arrivals-subscription filter.subjectBeginsWith": "/blobServices/default/containers/photos-in/blobs/",
          "photos-may-uploads scope":
            `/subscriptions/${SUBSCRIPTION}/resourceGroups/photos-group/providers/Microsoft.Storage/storageAccounts/photosimage74359302cc39f` +
            "/blobServices/default/containers/photos-in",
        },
      },
    ],
    "azure.alwaysReady": [
      { azure: { alwaysReady: 3 } },
      { changed: { "photos-app-app functionAppConfig.scaleAndConcurrency.alwaysReady": [{ name: "durable", instanceCount: 3 }] } },
    ],
    "azure.maximumInstances": [
      { azure: { maximumInstances: 5 } },
      { changed: { "photos-app-app functionAppConfig.scaleAndConcurrency.maximumInstanceCount": 5 } },
    ],
    "azure.sqlAdministrator": [
      { azure: { sqlAdministrator: { login: "dba", sid: "aaaaaaaa-0000-4000-8000-00000000000f", principalType: "Group" } } },
      {
        changed: on(["photos-records-server"], "administrators", {
          login: "dba",
          sid: "aaaaaaaa-0000-4000-8000-00000000000f",
          principalType: "Group",
        }),
      },
    ],
  };
  for (const [option, [args, expected]] of Object.entries(options)) {
    it(option, async () => {
      const { changed, ...others } = difference(defaults, await recorded(() => new ImagePipeline("photos", args)));
      const code = Object.keys(changed).filter((path) => CODE.test(path));
      assert.equal(code.length, option === "tagger: a module" ? 2 : 0, "the code");
      const declared = Object.fromEntries(Object.entries(changed).filter(([path]) => !CODE.test(path)));
      assert.deepEqual({ ...others, changed: declared }, { added: [], removed: [], changed: {}, ...expected });
    });
  }

  it("tags, which are on whatever can carry them", async () => {
    const declared = await recorded(() => new ImagePipeline("photos", { tags: { team: "photos" } }));
    const { added, removed, changed } = difference(defaults, declared);
    assert.deepEqual([added, removed], [[], []]);
    assert.deepEqual(changed, on(await taggable(declared), "tags", { team: "photos" }));
    assert.equal(Object.keys(changed).length, 20);
  });

  it("is listed here", () => {
    const told = new Set(Object.keys(options).map((option) => option.split(/[.:]/)[0]));
    const others = ["source", "tags", "transform"];
    const all: Record<keyof ImagePipelineArgs, true> = { ...ARGUMENTS, azure: true, transform: true };
    assert.deepEqual([...told, ...others].sort(), Object.keys(all).sort());
  });
});
