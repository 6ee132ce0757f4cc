import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { Progress, type Step } from "../../cli/progress.js";

const GROUP: Step = { type: "delete", name: "photos-group", resourceType: "azure-native:resources:ResourceGroup" };

/** What is shown of these steps, where there is no terminal. */
function shown(...steps: Step[]): string {
  const out = new PassThrough();
  const progress = new Progress(out as unknown as NodeJS.WriteStream, "azure");
  for (const step of steps) progress.step(step);
  return String(out.read() ?? "");
}

describe("Progress of a deployment", () => {
  it("has a line for each change, and none for what stays as it is", () => {
    const bucket = { name: "photos-uploads", resourceType: "aws:s3/bucket:Bucket" };
    assert.equal(
      shown({ type: "create", ...bucket }, { type: "same", ...bucket }, { type: "replace", ...bucket }),
      "+ s3.Bucket  photos-uploads\n± s3.Bucket  photos-uploads\n",
    );
  });

  it("tells what is deleted from what stays in the cloud and is only forgotten", () => {
    assert.equal(shown(GROUP), "- resources.ResourceGroup  photos-group\n");
    assert.equal(shown({ ...GROUP, retained: true }), "- resources.ResourceGroup  photos-group  (retained: it stays in the cloud)\n");
  });
});
