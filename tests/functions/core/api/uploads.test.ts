import assert from "node:assert/strict";
import { api, BYTES, file, logged } from "./fixture.js";

describe("POST /upload", () => {
  it("stores the file under its name, announces it, and says where its status is", async () => {
    const { call, uploads, records } = api();
    const { status, body } = await call("POST", "/upload", { form: { file: file("cat.png") } });
    assert.equal(status, 202);
    assert.deepEqual(body, { key: "uploads/cat.png", statusUrl: "/images/uploads/cat.png/status" });
    assert.deepEqual(uploads.bytes("uploads/cat.png"), BYTES.png);
    assert.equal((await records.get("uploads/cat.png"))?.status, "processing");
  });

  it("keeps the user with the object and the record", async () => {
    const { call, uploads, records } = api();
    const { body } = await call("POST", "/upload", { form: { file: file("cat.png"), user: "ada" } });
    assert.equal(body.key, "uploads/ada/cat.png");
    assert.equal((await uploads.head(body.key))?.user, "ada");
    assert.equal((await records.get(body.key))?.user, "ada");
  });

  it("takes an empty user, as forms send it, for none", async () => {
    const { body } = await api().call("POST", "/upload", { form: { file: file("cat.png"), user: "" } });
    assert.equal(body.key, "uploads/cat.png");
  });

  it("announces before it writes, so that no event can come first", async () => {
    const { call, uploads, records } = api();
    const announced: unknown[] = [];
    const write = uploads.write.bind(uploads);
    uploads.write = async (key, ...rest) => {
      announced.push((await records.get(key))?.status);
      await write(key, ...rest);
    };
    await call("POST", "/upload", { form: { file: file("cat.png") } });
    assert.deepEqual(announced, ["processing"]);
  });

  it("stores every accepted kind under the media type of its content, whatever the name says", async () => {
    const { call, uploads } = api();
    for (const kind of ["png", "jpeg", "gif", "webp"] as const) {
      const { status, body } = await call("POST", "/upload", { form: { file: file(`${kind}.txt`, BYTES[kind]) } });
      assert.equal(status, 202, kind);
      assert.equal((await uploads.head(body.key))?.contentType, `image/${kind}`);
    }
  });

  it("refuses content that is never accepted with 415, and leaves nothing behind", async () => {
    const { call, uploads, records } = api();
    for (const [kind, what] of [
      ["text", /text/],
      ["heic", /HEIC/],
    ] as const) {
      const { status, body } = await call("POST", "/upload", { form: { file: file("cat.jpg", BYTES[kind]) } });
      assert.deepEqual([status, body.code], [415, "UNSUPPORTED_MEDIA_TYPE"]);
      assert.match(body.message, what);
    }
    assert.deepEqual([uploads.keys, await records.get("uploads/cat.jpg")], [[], undefined]);
  });

  it("takes no more at a time than there is memory for, tells the others when to come again, and takes them then", async () => {
    const { call, uploads } = api({ bodyLimit: 400, uploadBudget: 900 });
    let go = () => {};
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    const write = uploads.write.bind(uploads);
    uploads.write = async (...args) => {
      await gone;
      await write(...args);
    };
    // Without a length, as much is kept for each as it may have.
    const send = (name: string) => call("POST", "/upload", { form: { file: file(name) } });
    const taken = [send("one.png"), send("two.png")];
    const { status, headers, body } = await send("three.png");
    assert.deepEqual([status, body.code, body.use, headers.get("retry-after")], [503, "BUSY", "POST /uploads", "2"]);
    const unread = await call("POST", "/upload", { form: { file: file("cat.png") }, headers: { "content-length": "200" } });
    assert.equal(unread.status, 503, "the budget has 100 bytes left");
    go();
    assert.deepEqual(
      (await Promise.all(taken)).map(({ status }) => status),
      [202, 202],
    );
    assert.equal((await send("three.png")).status, 202);
    assert.equal((await call("POST", "/upload", { form: { file: file("notes.png", BYTES.text) } })).status, 415);
    assert.equal((await send("four.png")).status, 202, "what is refused gives back what it has taken");
    assert.equal((await send("five.png")).status, 202);
  });

  it("never overwrites silently: not a processed image, not one being processed, not a bare object", async () => {
    const { call, completed, uploads, records } = api();
    await completed("done.png");
    await uploads.write("uploads/bare.png", BYTES.gif, { contentType: "image/gif", overwrite: true });
    for (const name of ["done.png", "bare.png"]) {
      const before = [uploads.bytes(`uploads/${name}`), await records.get(`uploads/${name}`)];
      const { status, body } = await call("POST", "/upload", { form: { file: file(name, BYTES.jpeg) } });
      assert.deepEqual([status, body.code, body.key], [409, "CONFLICT", `uploads/${name}`]);
      assert.deepEqual([uploads.bytes(`uploads/${name}`), await records.get(`uploads/${name}`)], before);
    }
  });

  it("overwrites when asked to", async () => {
    const { call, completed, uploads } = api();
    await completed("cat.png");
    const { status } = await call("POST", "/upload", { form: { file: file("cat.png", BYTES.jpeg), overwrite: "true" } });
    assert.equal(status, 202);
    assert.deepEqual(uploads.bytes("uploads/cat.png"), BYTES.jpeg);
  });

  it("does not overwrite another user's image even when asked to", async () => {
    const { call, records } = api();
    records.announce = async () => false;
    const { status, body } = await call("POST", "/upload", { form: { file: file("cat.png"), overwrite: "true" } });
    assert.deepEqual([status, body.code], [409, "CONFLICT"]);
  });

  it("takes the announcement back when the store fails", async () => {
    const { call, uploads, records } = api();
    uploads.write = async () => {
      throw new Error("The store is down.");
    };
    const { answer } = await logged(() => call("POST", "/upload", { form: { file: file("cat.png") } }));
    assert.equal(answer.status, 500);
    assert.equal(await records.get("uploads/cat.png"), undefined);
  });

  it("says what is wrong with a form", async () => {
    const { call } = api();
    for (const [form, code, named] of [
      [{ user: "ada" }, "NO_FILE", /part file/],
      [{ file: "cat.png" }, "NO_FILE", /part file/],
      [{ file: file("", Buffer.alloc(0)) }, "NO_FILE", /part file/],
      [{ file: [file("a.png"), file("b.png")] }, "SEVERAL_FILES", /one file/],
      [{ file: file("a.png", Buffer.alloc(0)) }, "EMPTY", /no bytes/],
      [{ file: file("a.png"), overwrite: "maybe" }, "INVALID_BODY", /^overwrite is "maybe": it must be true or false\.$/],
      [{ file: file("a.png"), user: "x".repeat(256) }, "INVALID_BODY", /^user is /],
      [{ file: file("a.png"), other: file("b.png") }, "INVALID_BODY", /^other is not a member/],
    ] as const) {
      const { status, body } = await call("POST", "/upload", { form: form as Record<string, string> });
      assert.deepEqual([status, body.code], [400, code]);
      assert.match(body.message, named);
    }
  });

  it("refuses names that no store should hold", async () => {
    const { call } = api();
    for (const name of [" ", "..", "a\\b.png", "who?.png", "a#b.png", "100%.png", "bell\u0007.png", `${"x".repeat(201)}.png`]) {
      const { status, body } = await call("POST", "/upload", { form: { file: file(name) } });
      assert.deepEqual([status, body.code], [400, "INVALID_NAME"], name);
    }
  });

  it("refuses a body that is no form, or a broken one", async () => {
    const { call } = api();
    const text = await call("POST", "/upload", { body: "hello", headers: { "content-type": "text/plain" } });
    assert.deepEqual([text.status, text.body.code], [415, "UNSUPPORTED_MEDIA_TYPE"]);
    assert.match(text.body.message, /multipart\/form-data/);
    const broken = await call("POST", "/upload", {
      body: "--x\r\nnothing",
      headers: { "content-type": "multipart/form-data; boundary=x" },
    });
    assert.deepEqual([broken.status, broken.body.code], [400, "MALFORMED_BODY"]);
    assert.equal((await call("POST", "/upload")).body.code, "NO_FILE");
  });

  it("refuses a body that the host cannot carry, and says how to go on", async () => {
    const { status, body } = await api().call("POST", "/upload", { form: { file: file("big.png", Buffer.alloc(40_000)) } });
    assert.deepEqual([status, body.code, body.limit, body.use], [413, "TOO_LARGE", 30_000, "POST /uploads"]);
    assert.match(body.message, /30000 bytes.*POST \/uploads/);
  });

  it("refuses a file above the pipeline's own limit", async () => {
    const { status, body } = await api().call("POST", "/upload", {
      form: { file: file("big.png", Buffer.concat([BYTES.png, Buffer.alloc(20_000)])) },
    });
    assert.deepEqual([status, body.code, body.limit], [413, "SIZE_LIMIT", 20_000]);
  });

  it("takes names with spaces, plus signs, umlauts and emoji, in normal form C, and finds them again", async () => {
    const { call, completed } = api();
    for (const name of ["summer holiday.png", "Größe+1.png", "🌅 dawn (2).png", "100$ & more.png", "Cafe\u0301.png"]) {
      const { status, body } = await call("POST", "/upload", { form: { file: file(name) } });
      assert.deepEqual([status, body.key], [202, `uploads/${name.normalize("NFC")}`]);
      assert.equal((await call("GET", body.statusUrl)).body.key, body.key);
      await completed(name.normalize("NFC"));
      assert.equal((await call("GET", body.statusUrl.replace(/\/status$/, ""))).body.key, body.key);
    }
  });
});

describe("POST /uploads", () => {
  const ask = { filename: "cat.png", contentType: "image/png", size: 16 };

  it("gives a ticket for exactly this key, type and size, and announces the image", async () => {
    const { call, uploads, records } = api();
    const asked: unknown[] = [];
    const ticket = uploads.ticket.bind(uploads);
    uploads.ticket = async (request) => {
      asked.push(request);
      return ticket(request);
    };
    const { status, body } = await call("POST", "/uploads", { json: { ...ask, user: "ada" } });
    assert.equal(status, 201);
    assert.deepEqual(body, {
      key: "uploads/ada/cat.png",
      statusUrl: "/images/uploads/ada/cat.png/status",
      method: "PUT",
      url: "https://store.example/uploads/ada/cat.png?ticket",
      headers: { "content-type": "image/png" },
      expiresAt: "2026-11-01T12:15:00.000Z",
    });
    assert.deepEqual(asked, [{ key: body.key, contentType: "image/png", size: 16, overwrite: false, lifetime: 900, user: "ada" }]);
    assert.deepEqual(await records.get(body.key), {
      key: body.key,
      user: "ada",
      status: "processing",
      uploadedAt: "2026-11-01T12:00:00.000Z",
    });
  });

  it("is refused for a name that is taken, unless overwriting is asked for", async () => {
    const { call, completed, uploads } = api();
    await completed("cat.png");
    await uploads.write("uploads/bare.png", BYTES.gif, { contentType: "image/gif", overwrite: true });
    for (const filename of ["cat.png", "bare.png"]) {
      const { status, body } = await call("POST", "/uploads", { json: { ...ask, filename } });
      assert.deepEqual([status, body.code], [409, "CONFLICT"]);
      assert.equal((await call("POST", "/uploads", { json: { ...ask, filename, overwrite: true } })).status, 201);
    }
  });

  it("takes the announcement back when the store gives no ticket", async () => {
    const { call, uploads, records } = api();
    uploads.ticket = async () => {
      throw new Error("The store is down.");
    };
    const { answer } = await logged(() => call("POST", "/uploads", { json: ask }));
    assert.equal(answer.status, 500);
    assert.equal(await records.get("uploads/cat.png"), undefined);
  });

  it("is refused for what the pipeline would refuse anyway", async () => {
    const { call, records } = api();
    for (const [change, status, code] of [
      [{ size: 20_001 }, 413, "SIZE_LIMIT"],
      [{ size: 0 }, 400, "EMPTY"],
      [{ contentType: "image/svg+xml" }, 415, "UNSUPPORTED_MEDIA_TYPE"],
      [{ filename: "a?b.png" }, 400, "INVALID_NAME"],
    ] as const) {
      const answer = await call("POST", "/uploads", { json: { ...ask, ...change } });
      assert.deepEqual([answer.status, answer.body.code], [status, code]);
    }
    assert.equal(records.entries.size, 0);
  });

  it("names what is wrong with its request, the value, and what is allowed", async () => {
    const { call } = api();
    for (const [json, parameter, allowed] of [
      [{ ...ask, filename: undefined }, "filename", /file's name/],
      [{ ...ask, size: "16" }, "size", /whole number/],
      [{ ...ask, size: -1 }, "size", /whole number/],
      [{ ...ask, size: 1.5 }, "size", /whole number/],
      [{ ...ask, user: "" }, "user", /1 to 255/],
      [{ ...ask, overwrite: "true" }, "overwrite", /true or false/],
    ] as const) {
      const { status, body } = await call("POST", "/uploads", { json });
      assert.deepEqual([status, body.code, body.parameter], [400, "INVALID_BODY", parameter]);
      assert.match(body.allowed, allowed);
      assert.deepEqual(body.value, (json as Record<string, unknown>)[parameter]);
    }
    assert.match((await call("POST", "/uploads", { json: { ...ask, colour: 1 } })).body.message, /^colour is not a member/);
    for (const json of [null, [], "cat.png"]) assert.deepEqual((await call("POST", "/uploads", { json })).status, 400);
  });

  it("refuses malformed JSON, other media types, and bodies that no ticket needs", async () => {
    const { call } = api();
    const headers = { "content-type": "application/json" };
    const malformed = await call("POST", "/uploads", { body: "{", headers });
    assert.deepEqual([malformed.status, malformed.body.code], [400, "MALFORMED_BODY"]);
    const other = await call("POST", "/uploads", { body: "{}", headers: { "content-type": "text/plain" } });
    assert.deepEqual([other.status, other.body.code], [415, "UNSUPPORTED_MEDIA_TYPE"]);
    const long = await call("POST", "/uploads", { json: { ...ask, filename: "x".repeat(70_000) } });
    assert.deepEqual([long.status, long.body.code, long.body.limit], [413, "TOO_LARGE", 65_536]);
  });
});
