import assert from "node:assert/strict";
import { keyOf as jobKeyOf, jobOf, UnreadableMessage, underItsOwnKey } from "../../../functions/azure/arrival.js";
import type { ObjectInfo } from "../../../functions/core/ports.js";

const UPLOADS = { account: "https://photos.blob.core.windows.net/", container: "images-input" };
const url = (name: string) => `${UPLOADS.account}${UPLOADS.container}/${name}`;

/** As Event Grid's documentation shows it. */
const created = (data: object = {}, more: object = {}) => ({
  topic: "/subscriptions/x/resourceGroups/y/providers/Microsoft.Storage/storageAccounts/photos",
  subject: "/blobServices/default/containers/images-input/blobs/a b+c%20d.png",
  eventType: "Microsoft.Storage.BlobCreated",
  id: "831e1650-001e-001b-66ab-eeb76e069631",
  data: {
    api: "PutBlob",
    clientRequestId: "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
    requestId: "831e1650-001e-001b-66ab-eeb76e000000",
    eTag: "0x8D4BCC2E4835CD0",
    contentType: "image/png",
    contentLength: 524_288,
    blobType: "BlockBlob",
    url: url("a%20b+c%2520d.png"),
    sequencer: "00000000000004420000000000028963",
    storageDiagnostics: { batchId: "b68529f3-68cd-4744-baa4-3c0498ec19f0" },
    ...data,
  },
  dataVersion: "",
  metadataVersion: "1",
  eventTime: "2026-11-21T18:41:00.9584103Z",
  ...more,
});

const keyOf = (address: string, uploads = UPLOADS) => {
  const job = jobOf(created({ url: address }), uploads);
  return job.kind === "created" ? job.arrival.key : assert.fail(job.kind);
};

describe("A message of the job queue", () => {
  it("may be Event Grid's event for a blob that was written", () => {
    assert.deepEqual(jobOf(created(), UPLOADS), {
      kind: "created",
      arrival: {
        key: "a b+c%20d.png",
        sequencer: "00000000000004420000000000028963",
        etag: "0x8D4BCC2E4835CD0",
        size: 524_288,
        at: "2026-11-21T18:41:00.9584103Z",
        redrive: false,
      },
      otherKey: "a%20b+c%2520d.png",
    });
  });

  it("may be Event Grid's event for a blob that has gone", () => {
    const event = created({ url: url("cat.png"), api: "DeleteBlob" }, { eventType: "Microsoft.Storage.BlobDeleted" });
    assert.deepEqual(jobOf(event, UPLOADS), {
      kind: "deleted",
      key: "cat.png",
      sequencer: "00000000000004420000000000028963",
      at: "2026-11-21T18:41:00.9584103Z",
    });
  });

  it("may be an uploader's own, and say whose the blob is", () => {
    const message = { blobUrl: url("ann/cat.png?sv=2026&sig=x%2F"), userId: "ann" };
    assert.deepEqual(jobOf(message, UPLOADS), { kind: "owned", key: "ann/cat.png", user: "ann" });
  });

  it("names the blob by its URL, wherever the account is", () => {
    assert.equal(keyOf(url("uploads/Gr%C3%B6%C3%9Fe.png")), "uploads/Größe.png");
    assert.equal(keyOf(url("100%.png")), "100%.png", "not encoded at all");
    assert.equal(keyOf("HTTPS://Photos.blob.core.windows.net/images-input/a.png"), "a.png");
    const local = { account: "https://127.0.0.1:10000/photos/", container: "images-input" };
    assert.equal(keyOf("https://127.0.0.1:10000/photos/images-input/a.b..png", local), "a.b..png");
    const event = created({ url: "https://photos.dfs.core.windows.net/images-input/a.png", blobUrl: url("a.png") });
    assert.equal((jobOf(event, UPLOADS) as { arrival: { key: string } }).arrival.key, "a.png", "hierarchical namespace");
  });

  it("takes an entity tag for the same with its quotes and without", () => {
    const quoted = jobOf(created({ eTag: '"0x8D4BCC2E4835CD0"' }), UPLOADS);
    assert.deepEqual(quoted, jobOf(created(), UPLOADS));
  });

  it("may be a redrive, and then without a sequencer", () => {
    const job = jobOf(created({ sequencer: undefined }, { redrive: true, redriveId: "one" }), UPLOADS);
    assert.deepEqual(job.kind === "created" && [job.arrival.redrive, job.arrival.sequencer, job.redriveId], [true, "", "one"]);
  });

  it("may be about a name as long as Azure allows: 1,024 characters, of however many bytes", () => {
    assert.equal(keyOf(url(encodeURIComponent("ü".repeat(1_024)))).length, 1_024);
  });

  it("may name the user only where it is a redrive: Event Grid knows none", () => {
    const userOf = (more: object) => {
      const job = jobOf(created({}, { user: "ann", ...more }), UPLOADS);
      return job.kind === "created" ? job.arrival.user : assert.fail(job.kind);
    };
    assert.deepEqual([userOf({ redrive: true }), userOf({})], ["ann", undefined]);
  });

  it("is about the blob that there is, by whichever reading of its URL", async () => {
    const messages = [created({ url: url("50%25.png") }), { blobUrl: url("50%25.png"), userId: "ann" }];
    for (const job of messages.map((message) => jobOf(message, UPLOADS))) {
      const among = async (...names: string[]) => {
        const found = await underItsOwnKey(job, { head: async (key) => (names.includes(key) ? ({ key } as ObjectInfo) : undefined) });
        return jobKeyOf(found);
      };
      assert.deepEqual(
        [await among("50%25.png"), await among("50%.png"), await among("50%.png", "50%25.png"), await among()],
        ["50%25.png", "50%.png", "50%.png", "50%.png"],
      );
    }
  });

  const owned = (blobUrl: unknown, userId: unknown = "ann") => ({ blobUrl, userId });
  const malformed: Record<string, unknown> = {
    "no JSON": "not json at all",
    "a number": 5,
    null: null,
    "a list": [created()],
    "an empty object": {},
    "64 KB of junk": "x".repeat(65_536),
    "64 KB of junk in an object": { blobUrl: "x".repeat(65_000), userId: "ann" },
    "no URL": created({ url: undefined }),
    "no data": created({}, { data: undefined }),
    "no time": created({}, { eventTime: "yesterday" }),
    "no sequencer": created({ sequencer: undefined }),
    "another event": created({}, { eventType: "Microsoft.Storage.BlobTierChanged" }),
    "a size that is none": created({ contentLength: -1 }),
    "a URL that is none": owned("cat.png"),
    "a URL of files": owned("file:///etc/passwd"),
    "a foreign account": owned("https://evil.blob.core.windows.net/images-input/cat.png"),
    "a foreign host that begins like ours": owned("https://photos.blob.core.windows.net.evil.example/images-input/cat.png"),
    "a foreign host by a user name": owned("https://photos.blob.core.windows.net@evil.example/images-input/cat.png"),
    "a foreign container": owned("https://photos.blob.core.windows.net/thumbnails/cat.png"),
    "a container that begins like ours": owned("https://photos.blob.core.windows.net/images-input-2/cat.png"),
    "the container itself": owned(url("")),
    "another scheme": owned("http://photos.blob.core.windows.net/images-input/cat.png"),
    "a way up": owned(url("../thumbnails/cat.png")),
    "a way up and back": owned(url("../images-input/cat.png")),
    "a way up within": owned(url("a/../cat.png")),
    "an encoded way up": owned(url("%2e%2e/images-input/cat.png")),
    "an encoded slash on the way up": owned(url("..%2fcat.png")),
    "a backslash on the way up": owned(url("..%5Ccat.png")),
    "a dot as a folder": owned(url("a/./cat.png")),
    "a zero byte": owned(url("cat%00.png")),
    "a name that is too long": owned(url("x".repeat(1_025))),
    "no user": { blobUrl: url("cat.png") },
    "an empty user": owned(url("cat.png"), ""),
    "a user that is too long": owned(url("cat.png"), "x".repeat(256)),
    "a user that is no text": owned(url("cat.png"), { $ne: 1 }),
  };
  for (const [what, message] of Object.entries(malformed)) {
    it(`that is malformed (${what}) is refused, in few words`, () => {
      assert.throws(
        () => jobOf(message, UPLOADS),
        (error: Error) => error instanceof UnreadableMessage && error.message.length < 2_000,
      );
    });
  }
});
