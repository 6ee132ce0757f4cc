import assert from "node:assert/strict";
import * as photos from "../photos.js";
import { conformance } from "./describe.js";

conformance("POST /upload", (client) => {
  it("takes a photo, answers 202 at once, and processes it", async () => {
    const { status, body } = await client().upload(client().name("photo.jpg"), await photos.jpeg());
    assert.equal(status, 202);
    assert.equal(new URL(body.statusUrl, client().target.url).pathname, client().image(body.key, "/status"));
    assert.ok(["processing", "completed"].includes((await client().status(body.key)).body.status));
    const record = await client().result(body.key);
    assert.equal(record.status, "completed");
    assert.equal(record.key, body.key);
  });

  it("keeps the uploader's name with the image", async () => {
    const { body } = await client().upload(client().name("mine.png"), await photos.transparentPng(), { user: "ada" });
    assert.equal((await client().result(body.key)).user, "ada");
  });

  it("never overwrites silently: the same name again is 409", async () => {
    const name = client().name("twice.jpg");
    const first = await client().upload(name, await photos.jpeg(400, 300, 1));
    assert.equal((await client().upload(name, await photos.jpeg(400, 300, 2))).status, 409);
    const record = await client().result(first.body.key);
    const again = await client().upload(name, await photos.jpeg(400, 300, 2));
    assert.equal(again.status, 409);
    assert.equal(again.body.code, "CONFLICT");
    assert.deepEqual((await client().status(first.body.key)).body, record);
  });

  it("processes anew what is overwritten on purpose", async () => {
    const name = client().name("newer.jpg");
    const first = await client().upload(name, await photos.jpeg(400, 300, 1));
    const before = await client().result(first.body.key);
    const again = await client().upload(name, await photos.jpeg(500, 300, 2), { overwrite: "true" });
    assert.equal(again.status, 202);
    const after = await client().eventually(async () => {
      const record = await client().result(first.body.key);
      return record.sha256 !== before.sha256 && record;
    }, "the newer photo is processed");
    assert.equal(after.width, 500);
  });

  it("takes names with spaces, umlauts, plus signs and emoji", async () => {
    for (const name of ["summer holiday.jpg", "Größe+1.jpg", "🌅 dawn (2).jpg", "100$ & more.jpg"]) {
      const { status, body } = await client().upload(client().name(name), await photos.jpeg(200, 150));
      assert.equal(status, 202, name);
      assert.equal(body.key.endsWith(name.normalize("NFC")), true, body.key);
      assert.equal((await client().result(body.key)).status, "completed", name);
    }
  });

  it("refuses names that no store should hold", async () => {
    for (const name of ["..", "a\\b.jpg", "who?.jpg", "a#b.jpg", "100%.jpg", "bell\u0007.jpg", `${"x".repeat(201)}.jpg`]) {
      const { status, body } = await client().upload(name, await photos.jpeg(60, 40));
      assert.equal(status, 400, name);
      assert.equal(body.code, "INVALID_NAME", name);
    }
  });

  it("refuses content that no pipeline accepts with 415, whatever its name says", async () => {
    for (const [name, bytes] of [
      ["text.jpg", Buffer.from("this is not a picture")],
      ["drawing.svg", photos.svg()],
    ] as const) {
      const { status, body } = await client().upload(client().name(name), bytes, {}, "image/jpeg");
      assert.equal(status, 415, name);
      assert.equal(body.code, "UNSUPPORTED_MEDIA_TYPE");
      assert.equal((await client().status(`uploads/${client().name(name)}`)).status, 404, "nothing is left behind");
    }
  });

  it("refuses a form without a file", async () => {
    const form = new FormData();
    form.append("user", "ada");
    const { status, body } = await client().call("POST", "/upload", { form });
    assert.equal(status, 400);
    assert.match(body.message, /file/);
  });

  it("says how to go on when the body is larger than this way can carry", async () => {
    // Hosts differ in what they carry. Between that and the pipeline's own limit of 25 MB, a ticket is the way; past the limit, none is.
    for (const size of [4_600_000, 26_000_000, 40_000_000]) {
      const { status, body } = await client().upload(
        client().name(`${size}.jpg`),
        Buffer.concat([await photos.jpeg(300, 200), Buffer.alloc(size)]),
      );
      if (size < 25_000_000 && status === 202) continue;
      assert.equal(status, 413);
      if (body.code === "SIZE_LIMIT") continue;
      assert.equal(body.code, "TOO_LARGE");
      assert.match(JSON.stringify(body), /POST \/uploads/);
      return;
    }
    assert.fail("every size is carried");
  });
});
