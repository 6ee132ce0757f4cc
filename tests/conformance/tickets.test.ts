import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as photos from "../photos.js";
import type { Client, Ticket } from "./client.js";
import { conformance } from "./describe.js";

const run = promisify(execFile);

async function ticketFor(client: Client, name: string, size: number, more: Record<string, unknown> = {}): Promise<Ticket> {
  const { status, body } = await client.ticket(client.name(name), size, more);
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

conformance("POST /uploads", (client) => {
  it("gives a ticket with which plain curl uploads", async () => {
    const bytes = await photos.jpeg();
    const ticket = await ticketFor(client(), "by-curl.jpg", bytes.length);
    assert.ok(Date.parse(ticket.expiresAt) > Date.now());
    const folder = await mkdtemp(join(tmpdir(), "ticket-"));
    try {
      const file = join(folder, "photo.jpg");
      await writeFile(file, bytes);
      const args = ticket.fields
        ? [...Object.entries(ticket.fields).flatMap(([name, value]) => ["-F", `${name}=${value}`]), "-F", `file=@${file}`]
        : [
            "-X",
            ticket.method,
            "--data-binary",
            `@${file}`,
            ...Object.entries(ticket.headers ?? {}).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
          ];
      await run("curl", ["--silent", "--show-error", "--fail-with-body", ...args, ticket.url]);
    } finally {
      await rm(folder, { recursive: true });
    }
    assert.equal((await client().result(ticket.key)).status, "completed");
  });

  it("can be used by the page: the store lets its origin, and no other, send what the ticket says", async () => {
    const ticket = await ticketFor(client(), "by-page.jpg", 1_000);
    const asked = Object.keys(ticket.headers ?? {}).map((name) => name.toLowerCase());
    const preflight = (origin: string) =>
      fetch(ticket.url, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": ticket.method,
          ...(asked.length > 0 && { "access-control-request-headers": asked.join(",") }),
        },
      });
    const { origin } = new URL(client().target.url);
    const allowed = await preflight(origin);
    assert.ok(allowed.ok, `${allowed.status} ${await allowed.text()}`);
    assert.ok([origin, "*"].includes(allowed.headers.get("access-control-allow-origin") ?? ""));
    const { ok } = await preflight("https://elsewhere.example");
    assert.ok(!ok);
  });

  it("carries the user", async () => {
    const record = await client().put(client().name("grace.webp"), await photos.webp(), { contentType: "image/webp", user: "grace" });
    assert.equal(record.user, "grace");
    assert.equal(record.format, "webp");
  });

  it("fixes the size: other bytes are refused by the store, or known by what they are where it cannot tell", async () => {
    const bytes = await photos.jpeg(200, 100);
    for (const [what, other] of [
      ["larger", Buffer.concat([bytes, Buffer.alloc(100)])],
      ["smaller", bytes.subarray(0, -10)],
    ] as const) {
      const ticket = await ticketFor(client(), `${what}.jpg`, bytes.length);
      const { status } = await client().redeem(ticket, other);
      if (status >= 200 && status < 300) assert.equal((await client().result(ticket.key)).size, other.length, what);
      else assert.ok(status >= 400 && status < 500, `${what}: ${status}`);
    }
  });

  it("lets nothing through that is larger than the limit, whatever size it was asked for", async () => {
    const bytes = await photos.jpeg(200, 100);
    const ticket = await ticketFor(client(), "grown.jpg", bytes.length);
    const { status } = await client().redeem(ticket, Buffer.concat([bytes, Buffer.alloc(26_000_000)]));
    if (status >= 400 && status < 500) return;
    const record = await client().result(ticket.key);
    assert.equal(record.status, "failed");
    assert.equal(record.failure.code, "SIZE_LIMIT");
  });

  it("is for one name: a tampered URL is refused by the store", async () => {
    const bytes = await photos.jpeg(200, 100);
    const ticket = await ticketFor(client(), "right.jpg", bytes.length);
    const wrong = await client().redeem(ticket, bytes, {
      url: ticket.url.replace("right.jpg", "wrong.jpg"),
      ...(ticket.fields ? { fields: { key: ticket.key.replace("right", "wrong") } } : {}),
    });
    assert.equal(wrong.status, 403);
  });

  it("does not overwrite: once used, it is spent", async () => {
    const bytes = await photos.jpeg(200, 100);
    const ticket = await ticketFor(client(), "once.jpg", bytes.length);
    assert.ok((await client().redeem(ticket, bytes)).ok);
    const { status } = await client().redeem(ticket, await photos.jpeg(200, 100));
    assert.ok([403, 409, 412].includes(status), String(status));
    await client().result(ticket.key);
  });

  it("is refused for a name that is taken, unless overwriting is asked for", async () => {
    const bytes = await photos.jpeg(200, 100);
    const name = client().name("taken.jpg");
    await client().put(name, bytes);
    const refused = await client().ticket(name, bytes.length);
    assert.equal(refused.status, 409);
    assert.equal(refused.body.code, "CONFLICT");
    const newer = await photos.jpeg(220, 100);
    const { status, body: ticket } = await client().ticket(name, newer.length, { overwrite: true });
    assert.equal(status, 201);
    assert.ok((await client().redeem(ticket, newer)).ok);
    await client().eventually(async () => (await client().result(ticket.key)).width === 220, "the newer photo is processed");
  });

  it("is refused for what the pipeline would refuse anyway", async () => {
    assert.deepEqual(await statusAndCode(client().ticket(client().name("huge.jpg"), 26_000_000)), [413, "SIZE_LIMIT"]);
    assert.deepEqual(await statusAndCode(client().ticket(client().name("a.svg"), 100, { contentType: "image/svg+xml" })), [
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ]);
    assert.deepEqual(await statusAndCode(client().ticket("a?b.jpg", 100)), [400, "INVALID_NAME"]);
  });

  it("names the first thing that is wrong with the request", async () => {
    for (const [json, named] of [
      [{ contentType: "image/jpeg", size: 1 }, /filename/],
      [{ filename: "a.jpg", contentType: "image/jpeg", size: "1" }, /size/],
      [{ filename: "a.jpg", contentType: "image/jpeg", size: -1 }, /size/],
    ] as const) {
      const { status, body } = await client().call("POST", "/uploads", { json });
      assert.equal(status, 400);
      assert.match(JSON.stringify(body), named);
    }
    const broken = await client().call("POST", "/uploads", { body: "{", headers: { "content-type": "application/json" } });
    assert.equal(broken.status, 400);
  });
});

async function statusAndCode(answer: Promise<{ status: number; body: { code: string } }>): Promise<[number, string]> {
  const { status, body } = await answer;
  return [status, body.code];
}
