import assert from "node:assert/strict";
import { ImagePipeline, type ImagePipelineArgs } from "../../../../components/azure/image-pipeline.js";
import { type Declared, recorded } from "../../../declared.js";
import { SUBSCRIPTION } from "../../../declared-azure.js";
import { called } from "../../called.js";

const ACCOUNT = `/subscriptions/${SUBSCRIPTION}/resourceGroups/company/providers/Microsoft.Storage/storageAccounts/companyfiles`;
const UPLOADS = `${ACCOUNT}/blobServices/default/containers/uploads`;
const functions = {
  "azure-native:storage:getStorageAccount": {
    id: ACCOUNT,
    location: "northeurope",
    primaryEndpoints: { blob: "https://companyfiles.blob.core.windows.net/" },
  },
  "azure-native:storage:getBlobContainer": { id: UPLOADS },
};
const image = `registry.example.org/pipeline@sha256:${"a".repeat(64)}`;
const source = { existing: "companyfiles/uploads" };

describe("ImagePipeline on Kubernetes, with a container that is there", () => {
  let resources: Declared[];
  before(async () => {
    const azure = { hosting: "kubernetes", image, source: { resourceGroup: "company" } } as const;
    resources = await recorded(() => new ImagePipeline("photos", { source, azure }), { functions });
  });

  const environment = (app: string): Record<string, string> => {
    const [container] = called(resources, `photos-${app}-deployment`).inputs.spec.template.spec.containers;
    return Object.fromEntries(container.env.map(({ name, value }: { name: string; value: string }) => [name, value]));
  };

  it("puts two containers beside it, under names that are nobody else's, and touches nothing more of the account", () => {
    const there = resources.filter(({ inputs }) => inputs.accountName === "companyfiles");
    assert.deepEqual(
      there.map(({ name }) => name),
      ["photos-images-dead-letters", "photos-images-thumbnails"],
    );
    for (const { inputs } of there) assert.match(inputs.containerName, /^photos-images-(thumbnails|deadletter)-[0-9a-f]{13}$/);
  });

  it("lets uploader and processor into it and into their own, and tells them so", () => {
    const { containerName: processed } = called(resources, "photos-images-thumbnails").inputs;
    for (const app of ["uploader", "processor"]) {
      assert.equal(called(resources, `photos-${app}-may-uploads`).inputs.scope, UPLOADS);
      assert.match(called(resources, `photos-${app}-may-processed`).inputs.scope, new RegExp(`/companyfiles/.*/containers/${processed}$`));
      const { STORAGE_BLOB_URL, UPLOADS_CONTAINER, PROCESSED_CONTAINER } = environment(app);
      assert.deepEqual(
        [STORAGE_BLOB_URL, UPLOADS_CONTAINER, PROCESSED_CONTAINER],
        ["https://companyfiles.blob.core.windows.net/", "uploads", processed],
      );
    }
    assert.match(called(resources, "photos-arrivals-subscription").inputs.filter.subjectBeginsWith, /\/uploads\/blobs\/$/);
  });

  it("refuses a name for the container of results, which would be somebody else's account's", async () => {
    const azure = { hosting: "kubernetes", image, source: { resourceGroup: "company" }, processed: "done" };
    const args = { source, azure } as unknown as ImagePipelineArgs;
    await assert.rejects(
      recorded(() => new ImagePipeline("photos", args), { functions }),
      { code: "INVALID_ARGUMENT", message: /azure\.processed is "done": it must be left out where a container is adopted/ },
    );
    const check = (_: ImagePipelineArgs) => {};
    // @ts-expect-error beside an adopted container, names are not asked for
    check({ source, azure: { hosting: "kubernetes", source: { resourceGroup: "company" }, processed: "done" } });
  });
});
