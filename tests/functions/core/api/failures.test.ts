import assert from "node:assert/strict";
import type { DeadLetter } from "../../../../functions/core/ports.js";
import { api, logged } from "./fixture.js";

const letter = (key: string, at = "2026-11-01T12:00:00.000Z"): DeadLetter => ({
  key,
  event: { detail: { object: { key } }, at },
  error: { code: "INTERNAL", message: "The table was throttled." },
  at,
});

describe("GET /failures", () => {
  it("lists what is parked, without the events, and the failed images newest first", async () => {
    const { call, failed, completed, deadLetters, clock } = api();
    await completed("fine.png");
    const first = await failed("first.png");
    clock.pass(60);
    const second = await failed("second.png");
    await deadLetters.park(letter("uploads/parked.png"));
    const { status, body } = await call("GET", "/failures");
    assert.equal(status, 200);
    assert.deepEqual(body, {
      deadLetters: [
        { key: "uploads/parked.png", error: { code: "INTERNAL", message: "The table was throttled." }, at: "2026-11-01T12:00:00.000Z" },
      ],
      images: [second, first],
    });
    assert.equal(deadLetters.letters.length, 1, "looking takes nothing away");
  });

  it("pages the images", async () => {
    const { call, failed, clock } = api();
    for (const name of ["1.png", "2.png", "3.png"]) {
      await failed(name);
      clock.pass(1);
    }
    const first = await call("GET", "/failures?limit=2");
    assert.deepEqual(first.body.images.length, 2);
    const second = await call("GET", `/failures?limit=2&cursor=${first.body.cursor}`);
    assert.deepEqual([second.body.images[0].key, "cursor" in second.body], ["uploads/1.png", false]);
    assert.equal((await call("GET", `/images?status=failed&cursor=${first.body.cursor}`)).status, 400, "it is no cursor of the other list");
    for (const query of ["limit=0", "cursor=nonsense", "tag=Cat"]) assert.equal((await call("GET", `/failures?${query}`)).status, 400);
  });
});

describe("POST /images/{key}/redrive", () => {
  it("takes the dead letters, and starts the workflow with their events, newest first", async () => {
    const { call, uploads, records, deadLetters, workflow, clock } = api();
    await uploads.write("uploads/cat.png", Buffer.from("x"), { contentType: "image/png", overwrite: true });
    await records.announce({ key: "uploads/cat.png", at: clock.now().toISOString(), overwrite: false, lifetime: 900 });
    await deadLetters.park(letter("uploads/cat.png", "2026-11-01T12:05:00.000Z"));
    await deadLetters.park(letter("uploads/cat.png", "2026-11-01T12:01:00.000Z"));
    await deadLetters.park(letter("uploads/other.png"));
    const { status, body } = await call("POST", "/images/uploads/cat.png/redrive");
    assert.equal(status, 202);
    assert.deepEqual(body, { key: "uploads/cat.png", statusUrl: "/images/uploads/cat.png/status" });
    assert.deepEqual(workflow.started, [
      {
        object: await uploads.head("uploads/cat.png"),
        events: ["2026-11-01T12:05:00.000Z", "2026-11-01T12:01:00.000Z"].map((at) => letter("uploads/cat.png", at).event),
      },
    ]);
    assert.deepEqual(
      deadLetters.letters.map(({ key }) => key),
      ["uploads/other.png"],
    );
  });

  it("processes an image again of which nothing is parked: failed, completed, or never seen", async () => {
    const { call, completed, failed, uploads, workflow } = api();
    await completed("done.png");
    await failed("bad.png");
    await uploads.write("uploads/unseen.png", Buffer.from("x"), { contentType: "image/png", overwrite: true });
    for (const name of ["done.png", "bad.png", "unseen.png"]) {
      assert.equal((await call("POST", `/images/uploads/${name}/redrive`)).status, 202, name);
      assert.deepEqual([workflow.started.at(-1)?.object.key, workflow.started.at(-1)?.events], [`uploads/${name}`, []]);
    }
  });

  it("is 409 while the image is being processed and nothing is parked", async () => {
    const { call, uploads, records, workflow, clock } = api();
    await uploads.write("uploads/cat.png", Buffer.from("x"), { contentType: "image/png", overwrite: true });
    await records.announce({ key: "uploads/cat.png", at: clock.now().toISOString(), overwrite: false, lifetime: 900 });
    const { status, body } = await call("POST", "/images/uploads/cat.png/redrive");
    assert.deepEqual([status, body.code], [409, "CONFLICT"]);
    assert.deepEqual(workflow.started, []);
  });

  const CAT = "uploads/cat.png";
  const deletion = (sequencer = "2") => ({ ...letter(CAT), event: { deleted: { sequencer } } });

  it("does the deletion that failed: record, variants and tags go, and nothing is parked or started", async () => {
    for (const parked of [[deletion()], [letter(CAT)], [deletion("0"), letter(CAT)], []]) {
      const { call, completed, uploads, variants, records, tags, deadLetters, workflow } = api();
      await completed("cat.png", { tags: [{ name: "Cat", confidence: 98 }] });
      for (const each of parked) await deadLetters.park(each);
      await uploads.delete([CAT]);
      assert.equal((await call("POST", `/images/${CAT}/redrive`)).status, 202);
      assert.deepEqual([await records.get(CAT), variants.keys, tags.rows.size], [undefined, [], 0]);
      assert.deepEqual([deadLetters.letters, workflow.started], [[], []]);
    }
  });

  it("goes on with a deletion that failed half-way, when only its letter still tells of the image", async () => {
    const { call, completed, uploads, variants, records, tags, deadLetters, clock } = api();
    await completed("cat.png", { tags: [{ name: "Cat", confidence: 98 }] });
    await uploads.delete([CAT]);
    await records.bury(CAT, { sequencer: "2", at: clock.now().toISOString() });
    await deadLetters.park(deletion());
    assert.equal((await call("POST", `/images/${CAT}/redrive`)).status, 202);
    assert.deepEqual([variants.keys, tags.rows.size, deadLetters.letters], [[], 0, []]);
    assert.equal((await call("POST", `/images/${CAT}/redrive`)).status, 404, "now nothing is left of it");
  });

  it("parks a deletion again that fails once more", async () => {
    const { call, completed, uploads, tags, deadLetters } = api();
    await completed("cat.png");
    await uploads.delete([CAT]);
    await deadLetters.park(deletion());
    tags.remove = () => Promise.reject(new Error("Throttled."));
    const { answer } = await logged(() => call("POST", `/images/${CAT}/redrive`));
    assert.deepEqual([answer.status, deadLetters.letters], [500, [deletion()]]);
  });

  it("leaves the next upload's announcement to its upload, and is 409 where nothing else is left to do", async () => {
    const { call, completed, uploads, variants, records, deadLetters, clock } = api();
    await completed("cat.png");
    await uploads.delete([CAT]);
    await records.announce({ key: CAT, at: clock.now().toISOString(), overwrite: true, lifetime: 900 });
    await deadLetters.park(letter(CAT));
    const { status, body } = await call("POST", `/images/${CAT}/redrive`);
    assert.deepEqual([status, body.code, deadLetters.letters], [409, "CONFLICT", [letter(CAT)]]);
    await deadLetters.park(deletion());
    assert.equal((await call("POST", `/images/${CAT}/redrive`)).status, 202);
    assert.deepEqual([(await records.get(CAT))?.status, variants.keys], ["processing", []]);
  });

  it("is 404 for an unknown image", async () => {
    const { status, body } = await api().call("POST", "/images/uploads/nobody.png/redrive");
    assert.deepEqual([status, body.code], [404, "NOT_FOUND"]);
  });

  it("parks everything again when the workflow cannot be started", async () => {
    const { call, failed, deadLetters, workflow } = api();
    await failed("cat.png");
    const letters = [letter("uploads/cat.png"), letter("uploads/cat.png", "2026-11-01T12:01:00.000Z")];
    for (const parked of letters) await deadLetters.park(parked);
    workflow.redrive = async () => {
      throw new Error("Throttled.");
    };
    const { answer } = await logged(() => call("POST", "/images/uploads/cat.png/redrive"));
    assert.equal(answer.status, 500);
    assert.deepEqual(deadLetters.letters, letters);
  });

  it("writes a letter to the log that cannot even be parked again", async () => {
    const { call, failed, deadLetters, workflow } = api();
    await failed("cat.png");
    await deadLetters.park(letter("uploads/cat.png"));
    workflow.redrive = deadLetters.park = async () => {
      throw new Error("Throttled.");
    };
    const { lines } = await logged(() => call("POST", "/images/uploads/cat.png/redrive"));
    assert.deepEqual(lines.find(({ message }) => message === "dead letter lost")?.letter, letter("uploads/cat.png"));
  });
});
