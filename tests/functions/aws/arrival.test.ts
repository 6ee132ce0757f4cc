import assert from "node:assert/strict";
import { arrivalOf, departureOf, underItsOwnKey } from "../../../functions/aws/arrival.js";
import type { ObjectInfo, ObjectStore } from "../../../functions/core/ports.js";

const created = (object: object = {}, more: object = {}) => ({
  version: "0",
  id: "17793124-05d4-b198-2fde-7ededc63b103",
  "detail-type": "Object Created",
  source: "aws.s3",
  account: "123456789012",
  time: "2026-11-21T00:00:00Z",
  region: "eu-west-1",
  resources: ["arn:aws:s3:::photos"],
  detail: {
    version: "0",
    bucket: { name: "photos" },
    object: { key: "uploads/a b+c%20d.png", size: 5, etag: "b1946ac92492d2347c6235b4d2611184", sequencer: "617f08299329d189", ...object },
    "request-id": "N4N7GDK58NMKJ12R",
    requester: "123456789012",
    "source-ip-address": "1.2.3.4",
    reason: "PutObject",
  },
  ...more,
});

describe("An event of S3 by way of EventBridge", () => {
  it("is read as it is, its key not decoded", () => {
    assert.deepEqual(arrivalOf(created()), {
      key: "uploads/a b+c%20d.png",
      sequencer: "617f08299329d189",
      etag: "b1946ac92492d2347c6235b4d2611184",
      size: 5,
      at: "2026-11-21T00:00:00Z",
      redrive: false,
    });
  });

  it("may be a redrive, and then without a sequencer", () => {
    const { redrive, sequencer } = arrivalOf(created({ sequencer: undefined }, { redrive: true }));
    assert.deepEqual([redrive, sequencer], [true, ""]);
    assert.throws(() => arrivalOf(created({ sequencer: undefined })), /has no sequencer/);
  });

  it("of another kind, or none at all, is refused in words", () => {
    assert.throws(
      () => arrivalOf(created({}, { "detail-type": "Object Deleted" })),
      /"Object Deleted": this handler is for "Object Created"/,
    );
    assert.throws(() => departureOf(created()), /this handler is for "Object Deleted"/);
    assert.throws(() => arrivalOf({ Records: [] }), /not one of S3's by way of EventBridge[\s\S]*detail/);
    assert.throws(() => arrivalOf(created({ key: "" })), /key/);
    assert.throws(() => arrivalOf(null), /not one of S3's/);
  });

  it("may tell of a deletion", () => {
    const event = created({ size: undefined, etag: undefined }, { "detail-type": "Object Deleted" });
    assert.deepEqual(departureOf(event), { key: "uploads/a b+c%20d.png", sequencer: "617f08299329d189", at: "2026-11-21T00:00:00Z" });
  });

  describe("whose key is form-encoded, as in S3's other notifications,", () => {
    const store = (...keys: string[]) =>
      ({ head: async (key: string) => (keys.includes(key) ? ({ key } as ObjectInfo) : undefined) }) as ObjectStore;

    it("means the object that is there", async () => {
      const arrival = arrivalOf(created({ key: "uploads/a+b%2Bc.png" }));
      assert.equal((await underItsOwnKey(arrival, store("uploads/a b+c.png")))?.key, "uploads/a b+c.png");
      assert.equal(await underItsOwnKey(arrival, store()), undefined);
    });

    it("is not guessed at where nothing is encoded, or badly", async () => {
      const all = { head: () => assert.fail("asked") } as unknown as ObjectStore;
      assert.equal(await underItsOwnKey(arrivalOf(created({ key: "uploads/cat.png" })), all), undefined);
      assert.equal(await underItsOwnKey(arrivalOf(created({ key: "uploads/100%.png" })), all), undefined);
    });
  });
});
