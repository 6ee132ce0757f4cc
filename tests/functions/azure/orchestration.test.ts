import assert from "node:assert/strict";
import { type Input, processImage } from "../../../functions/azure/orchestration.js";
import { telling } from "../../../functions/azure/outcomes.js";
import { orchestrate, type Retries } from "./durable.js";

const IMAGE = {
  run: { key: "cat.png", sequencer: "0055", etag: "0x1", redrive: false, execution: "image-1" },
  size: 5,
  etag: "0x1",
  contentType: "image/png",
  format: "png",
  uploadedAt: "2026-11-21T12:00:00.000Z",
};
const EVENT = { eventType: "Microsoft.Storage.BlobCreated", data: { url: "https://x/images-input/cat.png" } };
const INPUT: Input = {
  arrival: { key: "cat.png", sequencer: "0055", etag: "0x1", size: 5, at: "2026-11-21T12:00:00Z", redrive: false },
  event: EVENT,
};
const NOTIFICATION = { status: "completed", subject: "Image processed", message: "{}" };
const STAGES = ["Validate", "GenerateThumbnails", "ExtractMetadata", "DetectLabels", "StoreResults", "Notify"];
const found = (value: unknown) => ({ kind: "found", found: value });

type Work = (input: never) => unknown;

describe("The orchestration of an image", () => {
  const stages = (more: Record<string, Work> = {}): Record<string, Work> => {
    const all: Record<string, Work> = {
      Validate: () => found(IMAGE),
      GenerateThumbnails: () => found({ fingerprint: {}, statistics: {}, variants: [] }),
      ExtractMetadata: () => found({ format: "png" }),
      DetectLabels: () => [{ name: "Cat", confidence: 98 }],
      StoreResults: () => ({ stored: true, notification: NOTIFICATION }),
      RecordFailure: () => ({ stored: true, notification: { ...NOTIFICATION, status: "failed" } }),
      Notify: () => undefined,
      ParkInDeadLetters: () => undefined,
      ...more,
    };
    return Object.fromEntries(Object.entries(all).map(([name, work]) => [name, telling(async (input: never) => work(input))]));
  };
  const run = async (more: Record<string, Work> = {}, input = INPUT) => {
    const result = await orchestrate(processImage, input, stages(more), "image-1");
    const inputOf = (name: string) => result.calls.find((call) => call.name === name)?.input;
    return { ...result, names: result.calls.map(({ name }) => name), inputOf };
  };

  it("goes through all stages, each with what the ones before have found", async () => {
    const { status, output, names, inputOf } = await run();
    assert.deepEqual([status, output, names], ["Completed", "completed", STAGES]);
    assert.deepEqual(inputOf("Validate"), { arrival: { ...INPUT.arrival, execution: "image-1" } });
    assert.deepEqual(inputOf("GenerateThumbnails"), IMAGE);
    assert.deepEqual(inputOf("StoreResults"), {
      image: IMAGE,
      metadata: { format: "png" },
      thumbnails: { fingerprint: {}, statistics: {}, variants: [] },
      labels: [{ name: "Cat", confidence: 98 }],
    });
    assert.deepEqual(inputOf("Notify"), NOTIFICATION);
  });

  it("asks for the same in every replay, whenever it is replayed", async () => {
    const [first, second] = [await run(), await run()];
    assert.deepEqual(first.history, second.history);
  });

  it("makes the variants and reads the header at the same time", async () => {
    const { history } = await run();
    const scheduled = history.filter(({ EventType }) => EventType === 4).map(({ Name }) => Name);
    const firstEnd = history.findIndex(({ EventType, TaskScheduledId }) => EventType === 5 && TaskScheduledId === 1);
    const begun = history.slice(0, firstEnd).filter(({ Name, EventType }) => EventType === 4 && Name !== "Validate");
    assert.deepEqual(scheduled.slice(0, 3), STAGES.slice(0, 3));
    assert.deepEqual(
      begun.map(({ Name }) => Name),
      ["GenerateThumbnails", "ExtractMetadata"],
    );
  });

  const refused = (code: string) => ({ kind: "refused", failure: { code, message: "No." } });

  it("records a refused image, tells of it, and is itself a success: nothing is tried again", async () => {
    for (const [stage, names] of [
      ["Validate", ["Validate", "RecordFailure", "Notify"]],
      ["GenerateThumbnails", ["Validate", "GenerateThumbnails", "ExtractMetadata", "RecordFailure", "Notify"]],
      ["ExtractMetadata", ["Validate", "GenerateThumbnails", "ExtractMetadata", "RecordFailure", "Notify"]],
    ] as const) {
      const result = await run({ [stage]: () => refused("CORRUPT") });
      assert.deepEqual([result.status, result.output, result.names], ["Completed", "refused", names], stage);
      const { failure, arrival } = result.inputOf("RecordFailure") as { failure: object; arrival: { execution: string } };
      assert.deepEqual([failure, arrival.execution], [{ code: "CORRUPT", message: "No." }, "image-1"]);
      assert.equal((result.inputOf("Notify") as { status: string }).status, "failed");
    }
  });

  it("believes the header before the decoder, where both refuse", async () => {
    const { inputOf } = await run({
      GenerateThumbnails: () => refused("CORRUPT"),
      ExtractMetadata: () => refused("TRUNCATED"),
    });
    assert.equal((inputOf("RecordFailure") as { failure: { code: string } }).failure.code, "TRUNCATED");
  });

  it("gives way to a newer event, a deletion or another delivery, without a word", async () => {
    for (const [stage, last, answer] of [
      ["Validate", "Validate", { kind: "stale" }],
      ["GenerateThumbnails", "ExtractMetadata", { kind: "stale" }],
      ["StoreResults", "StoreResults", { stored: false }],
    ] as const) {
      const { status, output, names } = await run({ [stage]: () => answer });
      assert.deepEqual([status, output, names.at(-1)], ["Completed", "superseded", last]);
    }
  });

  it("tries again what the infrastructure could not do, and goes on when it can", async () => {
    let attempts = 0;
    const { status, names } = await run({
      DetectLabels: () => {
        if (++attempts < 3) throw new Error("busy");
        return [];
      },
    });
    assert.equal(status, "Completed");
    assert.deepEqual(names, [...STAGES.slice(0, 3), "DetectLabels", "DetectLabels", "DetectLabels", "StoreResults", "Notify"]);
  });

  const denied = () => {
    const message = 'This request is not authorized: "Storage Blob Data Contributor" on {images-input}.\nRequestId: 1';
    throw Object.assign(new Error(message), { name: "RestError", code: "AuthorizationPermissionMismatch" });
  };

  it("parks what the infrastructure cannot do, whole and in the cloud's words, records it, tells of it, and fails", async () => {
    for (const stage of STAGES.slice(0, 5)) {
      const { status, output, names, inputOf } = await run({ [stage]: denied });
      assert.equal(status, "Failed", stage);
      assert.match(String(output), /AuthorizationPermissionMismatch: This request is not authorized/);
      assert.equal(names.filter((name) => name === stage).length, stage === "DetectLabels" ? 13 : 8, `attempts at ${stage}`);
      assert.deepEqual(names.slice(-3), ["ParkInDeadLetters", "RecordFailure", "Notify"]);
      const message = 'This request is not authorized: "Storage Blob Data Contributor" on {images-input}.\nRequestId: 1';
      assert.deepEqual(inputOf("ParkInDeadLetters"), {
        key: "cat.png",
        event: EVENT,
        error: { code: "AuthorizationPermissionMismatch", message },
        at: "2026-11-21T12:00:01.000Z",
      });
      assert.equal((inputOf("RecordFailure") as { failure: { code: string } }).failure.code, "INTERNAL");
    }
  });

  it("waits twice as long before each further attempt, up to a minute: for two minutes in all, and for labels for seven", async () => {
    const { retries } = await run();
    const seconds = (name: string) => {
      const { maxNumberOfAttempts: attempts, firstRetryIntervalInMilliseconds: first, ...rest } = retries[name] as Retries;
      const waits = Array.from({ length: attempts - 1 }, (_, i) =>
        Math.min(first * rest.backoffCoefficient ** i, rest.maxRetryIntervalInMilliseconds),
      );
      return waits.reduce((sum, wait) => sum + wait, 0) / 1_000;
    };
    for (const name of ["Validate", "GenerateThumbnails", "ExtractMetadata", "StoreResults", "Notify"]) assert.equal(seconds(name), 123);
    assert.equal(seconds("DetectLabels"), 423);
  });

  it("parks what could not be announced, too", async () => {
    const { status, names } = await run({ Notify: denied });
    assert.equal(status, "Failed");
    const attempts = names.filter((name) => name === "Notify").map(() => "Notify");
    assert.deepEqual(names.slice(5), [...attempts, "ParkInDeadLetters"], "its result stays, and is not announced once more");
  });

  it("records what it could not even park", async () => {
    const { status, names } = await run({ Validate: denied, ParkInDeadLetters: denied });
    assert.equal(status, "Failed");
    assert.deepEqual(names.slice(-2), ["RecordFailure", "Notify"]);
  });

  it("does not announce a failure that came too late", async () => {
    const { names } = await run({ Validate: denied, RecordFailure: () => ({ stored: false }) });
    assert.ok(!names.includes("Notify"));
  });
});
