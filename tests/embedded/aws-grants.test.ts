import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as photos from "../photos.js";
import { startPipeline, withoutGrant } from "./aws-stack.js";

describe("A role that lacks a grant", function () {
  this.timeout(120_000);

  it("makes the pipeline fail as on AWS, naming principal, action and resource; the work waits in the dead letters until it is redriven", async () => {
    const dataFolder = await mkdtemp(join(tmpdir(), "grants-"));
    try {
      const broken = await startPipeline({}, { dataFolder, transforms: [withoutGrant(/generate-thumbnails/, "s3:PutObject")] });
      let key: string;
      try {
        const { body } = await broken.client.upload("photo.jpg", await photos.jpeg(300, 200));
        key = body.key;
        const record = await broken.client.result(key);
        assert.equal(record.status, "failed");
        assert.equal(record.failure.code, "INTERNAL");
        await broken.stack.cloud.settled();
        const { body: failures } = await broken.client.call("GET", "/failures");
        const letter = failures.deadLetters.find((candidate: { key: string }) => candidate.key === key);
        assert.ok(letter, JSON.stringify(failures));
        const said = JSON.stringify(letter.error);
        assert.match(said, /not authorized to perform: s3:PutObject/);
        assert.match(said, /assumed-role\/photos-workflow-generate-thumbnails/);
        assert.match(said, new RegExp(`${broken.stack.outputs.thumbnails}/thumbnails/uploads/photo.jpg`));
      } finally {
        await broken.stack.stop();
      }

      const mended = await startPipeline({}, { dataFolder });
      try {
        assert.equal(mended.stack.summary.create, 0);
        assert.equal(mended.stack.summary.update, 1, "the policy, and nothing else");
        const { status } = await mended.client.call("POST", mended.client.image(key, "/redrive"));
        assert.equal(status, 202);
        const record = await mended.client.eventually(async () => {
          const { body } = await mended.client.status(key);
          return body.status === "completed" && body;
        }, "the redriven photo completes");
        assert.equal(record.variants.length, 2);
        const { body: failures } = await mended.client.call("GET", "/failures");
        assert.deepEqual(failures.deadLetters, [], "what was redriven is no longer parked");
      } finally {
        await mended.stack.stop();
      }
    } finally {
      await rm(dataFolder, { recursive: true, force: true });
    }
  });
});
