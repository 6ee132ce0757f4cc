import assert from "node:assert/strict";
import crypto from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { api, file, KEY, logged } from "./fixture.js";

const GUARDED = [
  ["POST", "/upload"],
  ["POST", "/uploads"],
  ["GET", "/images"],
  ["GET", "/images/uploads/cat.png"],
  ["GET", "/images/uploads/cat.png/status"],
  ["DELETE", "/images/uploads/cat.png"],
  ["POST", "/images/uploads/cat.png/redrive"],
  ["GET", "/failures"],
] as const;

describe("Authorization by key", () => {
  it("guards every route but the page, the health and the document", async () => {
    const { call } = api();
    for (const key of [false, "wrong", `${KEY}x`, KEY.slice(0, -1), ""] as const) {
      for (const [method, path] of GUARDED) {
        const { status, headers, body } = await call(method, path, { key });
        assert.deepEqual(
          [status, headers.get("www-authenticate"), body.code],
          [401, "Bearer", "UNAUTHORIZED"],
          `${method} ${path} with ${key}`,
        );
      }
      for (const path of ["/", "/health", "/openapi.json"]) assert.equal((await call("GET", path, { key })).status, 200);
    }
  });

  it("takes the key as a bearer's, in any case and with spaces, and in no other way", async () => {
    const { call } = api();
    for (const authorization of [`Bearer ${KEY}`, `bearer ${KEY}`, `Bearer   ${KEY} `]) {
      assert.equal((await call("GET", "/images", { key: false, headers: { authorization } })).status, 200, authorization);
    }
    for (const authorization of [KEY, `Basic ${KEY}`, `Bearer ${KEY} ${KEY}`, `Bearer${KEY}`]) {
      assert.equal((await call("GET", "/images", { key: false, headers: { authorization } })).status, 401, authorization);
    }
    assert.equal((await call("GET", `/images?key=${KEY}`, { key: false })).status, 401);
  });

  it("compares in constant time, whatever the length of what was sent", async () => {
    const { call } = api();
    const { timingSafeEqual } = crypto;
    const compared: number[][] = [];
    crypto.timingSafeEqual = (a, b) => {
      compared.push([a.byteLength, b.byteLength]);
      return timingSafeEqual(a, b);
    };
    // Named imports of a built-in module see what is changed only once they are told.
    (await import("node:module")).syncBuiltinESMExports();
    try {
      for (const key of ["x", KEY, "y".repeat(500)]) await call("GET", "/images", { key });
    } finally {
      crypto.timingSafeEqual = timingSafeEqual;
      (await import("node:module")).syncBuiltinESMExports();
    }
    assert.deepEqual(compared, Array(3).fill([32, 32]));
  });

  it("lets nobody in when the key is empty, or cannot be had", async () => {
    for (const apiKey of [async () => "", () => Promise.reject(new Error("No such parameter."))]) {
      const { answer } = await logged(() => api({ apiKey }).call("GET", "/images", { key: "x" }));
      assert.equal(answer.status, 500);
    }
  });
});

describe("Authorization by nobody", () => {
  it("lets everybody in, with or without a key", async () => {
    const { call } = api({ auth: { kind: "none" } });
    for (const key of [false, "anything"] as const) assert.equal((await call("GET", "/images", { key })).status, 200);
  });
});

describe("Authorization by token", () => {
  const issuer = "https://issuer.example/";
  const audience = "photos";
  let server: Server;
  let keys: { privateKey: CryptoKey; other: CryptoKey };
  let jwksUri: string;

  before(async () => {
    const [{ publicKey, privateKey }, { privateKey: other }] = await Promise.all([generateKeyPair("ES256"), generateKeyPair("ES256")]);
    const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" }] });
    server = createServer((_, response) => response.setHeader("content-type", "application/json").end(jwks)).listen(0, "127.0.0.1");
    await once(server, "listening");
    jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    keys = { privateKey, other };
  });

  after(() => {
    server.close();
    server.closeAllConnections();
  });

  const cloud = () => api({ auth: { kind: "jwt", issuer, audience, jwksUri } });
  type Cloud = ReturnType<typeof cloud>;
  const now = (clock: Cloud["clock"]) => Math.floor(clock.now().getTime() / 1000);

  function token(
    { clock }: Cloud,
    sub: string | undefined,
    claims: { iss?: string; aud?: string; exp?: number | null; nbf?: number } = {},
    key = keys.privateKey,
  ) {
    const { iss = issuer, aud = audience, exp = now(clock) + 300, ...rest } = claims;
    const jwt = new SignJWT({ iss, aud, ...(sub !== undefined && { sub }), ...(exp !== null && { exp }), ...rest });
    return jwt.setProtectedHeader({ alg: "ES256", kid: "1" }).sign(key);
  }

  it("lets the subject of a good token in", async () => {
    const it = cloud();
    assert.equal((await it.call("GET", "/images", { key: await token(it, "ada") })).status, 200);
  });

  it("refuses a token that is expired, early, for others, of others, tampered with, or without subject or end", async () => {
    const it = cloud();
    const at = now(it.clock);
    const good = await token(it, "ada");
    const [header, , signature] = good.split(".");
    const payload = Buffer.from(JSON.stringify({ iss: issuer, aud: audience, exp: at + 300, sub: "grace" })).toString("base64url");
    const secret = crypto.createSecretKey(Buffer.from(await fetch(jwksUri).then((response) => response.text())));
    for (const [what, bad] of Object.entries({
      expired: await token(it, "ada", { exp: at - 31 }),
      early: await token(it, "ada", { nbf: at + 31 }),
      "for another audience": await token(it, "ada", { aud: "music" }),
      "of another issuer": await token(it, "ada", { iss: "https://other.example/" }),
      "signed by another": await token(it, "ada", {}, keys.other),
      "with another payload": [header, payload, signature].join("."),
      unsigned: new UnsecuredJWT({ sub: "ada", iss: issuer, aud: audience, exp: at + 300 }).encode(),
      "signed with the public key as a secret": await new SignJWT({ sub: "ada", iss: issuer, aud: audience, exp: at + 300 })
        .setProtectedHeader({ alg: "HS256", kid: "1" })
        .sign(secret),
      "without subject": await token(it, undefined),
      "with an empty subject": await token(it, ""),
      "without end": await token(it, "ada", { exp: null }),
      "no token": "nonsense",
      "the API key": KEY,
    })) {
      const { status, headers, body } = await it.call("GET", "/images", { key: bad });
      assert.deepEqual([status, headers.get("www-authenticate"), body.code], [401, "Bearer", "UNAUTHORIZED"], what);
    }
  });

  it("tolerates clocks that differ by half a minute", async () => {
    const it = cloud();
    for (const claims of [{ exp: now(it.clock) - 29 }, { nbf: now(it.clock) + 29 }]) {
      assert.equal((await it.call("GET", "/images", { key: await token(it, "ada", claims) })).status, 200);
    }
  });

  it("is our fault, not the caller's, when the issuer cannot be reached", async () => {
    const it = api({ auth: { kind: "jwt", issuer, audience, jwksUri: new URL("/", jwksUri.replace(/:\d+/, ":1")).href } });
    const key = await token(it, "ada");
    const { answer } = await logged(() => it.call("GET", "/images", { key }));
    assert.equal(answer.status, 500);
  });

  it("puts uploads under the subject's name, and refuses another's", async () => {
    const it = cloud();
    const key = await token(it, "ada");
    const ask = { filename: "b.png", contentType: "image/png", size: 16 };
    assert.equal((await it.call("POST", "/upload", { key, form: { file: file("a.png") } })).body.key, "uploads/ada/a.png");
    assert.equal((await it.call("POST", "/upload", { key, form: { file: file("c.png"), user: "ada" } })).status, 202);
    assert.equal((await it.call("POST", "/uploads", { key, json: ask })).body.key, "uploads/ada/b.png");
    assert.equal((await it.records.get("uploads/ada/b.png"))?.user, "ada");
    for (const refused of [
      await it.call("POST", "/upload", { key, form: { file: file("d.png"), user: "grace" } }),
      await it.call("POST", "/uploads", { key, json: { ...ask, user: "grace" } }),
      await it.call("GET", "/images?user=grace", { key }),
    ]) {
      assert.deepEqual([refused.status, refused.body.code], [403, "FORBIDDEN"]);
    }
    assert.equal(it.records.entries.size, 3);
  });

  it("keeps subjects that are no plain words apart", async () => {
    const it = cloud();
    const uploaded = await Promise.all(
      ["../grace", "auth0|1/2", "ä"].map(async (sub) => {
        const key = await token(it, sub);
        const { body } = await it.call("POST", "/upload", { key, form: { file: file("a.png") } });
        assert.equal((await it.call("GET", "/images", { key })).body.items.length, 1);
        return body.key;
      }),
    );
    assert.equal(new Set(uploaded).size, 3);
    for (const key of uploaded) assert.match(key, /^uploads\/~[0-9a-f]{40}\/a\.png$/);
  });

  it("shows everybody only their own: the images of others and of nobody are unknown", async () => {
    const it = cloud();
    const tags = [{ name: "Cat", confidence: 90 }];
    await it.completed("ada/a.png", { user: "ada", tags });
    await it.completed("grace/b.png", { user: "grace", tags });
    await it.completed("c.png", { tags });
    const key = await token(it, "ada");
    for (const query of ["", "?user=ada", "?tag=Cat", "?status=completed", "?tag=Cat&limit=1", "?limit=1"]) {
      const { body } = await it.call("GET", `/images${query}`, { key });
      assert.deepEqual(
        body.items.map((item: { key: string }) => item.key),
        ["uploads/ada/a.png"],
        query,
      );
    }
    for (const other of ["uploads/grace/b.png", "uploads/c.png"]) {
      for (const [method, action] of [
        ["GET", ""],
        ["GET", "/status"],
        ["DELETE", ""],
        ["POST", "/redrive"],
      ] as const) {
        const [there, missing] = [
          await it.call(method, `/images/${other}${action}`, { key }),
          await it.call(method, `/images/uploads/nothing${action}`, { key }),
        ];
        assert.equal(there.status, 404, `${method} ${other}${action}`);
        assert.deepEqual(there.body, missing.body, "nothing tells them from what does not exist");
      }
    }
    assert.equal(it.uploads.keys.length, 3);
    assert.equal((await it.call("DELETE", "/images/uploads/ada/a.png", { key })).status, 204);
  });

  it("shows nobody another's image even should a store let it slip", async () => {
    const it = cloud();
    const record = await it.completed("grace/b.png", { user: "grace", tags: [{ name: "Cat", confidence: 90 }] });
    it.records.list = async () => ({ items: [record] });
    it.tags.find = async () => ({ items: [record.key] });
    const key = await token(it, "ada");
    for (const query of ["", "?tag=Cat"]) assert.deepEqual((await it.call("GET", `/images${query}`, { key })).body.items, []);
    assert.deepEqual((await it.call("GET", "/failures", { key })).body.images, []);
  });

  it("does not let another's cursor reach another's images", async () => {
    const it = cloud();
    for (const user of ["ada", "grace"]) {
      for (const name of ["1", "2"]) await it.completed(`${user}/${name}.png`, { user });
    }
    const { body } = await it.call("GET", "/images?limit=1", { key: await token(it, "grace") });
    assert.ok(body.cursor);
    assert.equal((await it.call("GET", `/images?limit=1&cursor=${body.cursor}`, { key: await token(it, "ada") })).status, 400);
  });

  it("shows everybody only their own failures, and redrives only those", async () => {
    const it = cloud();
    await it.failed("ada/a.png", { user: "ada" });
    await it.failed("grace/b.png", { user: "grace" });
    const error = { code: "INTERNAL", message: "It was throttled." };
    for (const key of ["uploads/ada/a.png", "uploads/grace/b.png", "uploads/nobody.png"]) {
      await it.deadLetters.park({ key, event: {}, error, at: it.clock.now().toISOString() });
    }
    const key = await token(it, "ada");
    const { body } = await it.call("GET", "/failures", { key });
    assert.deepEqual(
      body.deadLetters.map((letter: { key: string }) => letter.key),
      ["uploads/ada/a.png"],
    );
    assert.deepEqual(
      body.images.map((image: { key: string }) => image.key),
      ["uploads/ada/a.png"],
    );
    assert.equal((await it.call("POST", "/images/uploads/grace/b.png/redrive", { key })).status, 404);
    assert.equal(it.deadLetters.letters.length, 3, "what is another's stays parked");
    assert.equal((await it.call("POST", "/images/uploads/ada/a.png/redrive", { key })).status, 202);
  });
});
