import assert from "node:assert/strict";
import { z } from "zod";
import { type Answer, api, BYTES, file, logged } from "./fixture.js";

type Cloud = ReturnType<typeof api>;

type Json = any;

const broken = () => Promise.reject(new Error("secret: the table photos-7f3a is gone"));
const ask = { filename: "cat.png", contentType: "image/png", size: 16 };
const token = { kind: "jwt", issuer: "https://issuer.example/", audience: "photos", jwksUri: "https://issuer.example/keys" } as const;

/** How every status that the document promises comes about. */
const PROMISED: Record<string, (cloud: Cloud) => Promise<Answer>> = {
  "post /upload 202": ({ call }) => call("POST", "/upload", { form: { file: file("cat.png") } }),
  "post /upload 400": ({ call }) => call("POST", "/upload", { form: { file: file("100%.png") } }),
  "post /upload 401": ({ call }) => call("POST", "/upload", { key: false }),
  "post /upload 409": async ({ call, completed }) =>
    (await completed("cat.png")) && call("POST", "/upload", { form: { file: file("cat.png") } }),
  "post /upload 413": ({ call }) => call("POST", "/upload", { form: { file: file("cat.png", Buffer.alloc(40_000)) } }),
  "post /upload 415": ({ call }) => call("POST", "/upload", { form: { file: file("cat.png", BYTES.text) } }),
  "post /upload 500": ({ call, uploads }) => failing(uploads, "write", () => call("POST", "/upload", { form: { file: file("cat.png") } })),
  "post /upload 503": () => api({ uploadBudget: 1 }).call("POST", "/upload", { form: { file: file("cat.png") } }),
  "post /uploads 201": ({ call }) => call("POST", "/uploads", { json: ask }),
  "post /uploads 400": ({ call }) => call("POST", "/uploads", { json: {} }),
  "post /uploads 401": ({ call }) => call("POST", "/uploads", { key: "wrong" }),
  "post /uploads 409": async ({ call, completed }) => (await completed("cat.png")) && call("POST", "/uploads", { json: ask }),
  "post /uploads 413": ({ call }) => call("POST", "/uploads", { json: { ...ask, size: 1e9 } }),
  "post /uploads 415": ({ call }) => call("POST", "/uploads", { json: { ...ask, contentType: "image/tiff" } }),
  "post /uploads 500": ({ call, uploads }) => failing(uploads, "ticket", () => call("POST", "/uploads", { json: ask })),
  "get /images 200": async ({ call, completed }) =>
    (await completed("cat.png", { tags: [{ name: "Cat", confidence: 99 }] })) && call("GET", "/images"),
  "get /images 400": ({ call }) => call("GET", "/images?limit=0"),
  "get /images 401": ({ call }) => call("GET", "/images", { key: false }),
  "get /images 500": ({ call, records }) => failing(records, "list", () => call("GET", "/images")),
  "get /images/{key} 200": async ({ call, completed }) => (await completed("cat.png")) && call("GET", "/images/uploads/cat.png"),
  "get /images/{key} 401": ({ call }) => call("GET", "/images/uploads/cat.png", { key: false }),
  "get /images/{key} 404": ({ call }) => call("GET", "/images/uploads/cat.png"),
  "get /images/{key} 500": ({ call, records }) => failing(records, "get", () => call("GET", "/images/uploads/cat.png")),
  "get /images/{key}/status 200": async ({ call, failed }) => (await failed("cat.png")) && call("GET", "/images/uploads/cat.png/status"),
  "get /images/{key}/status 401": ({ call }) => call("GET", "/images/uploads/cat.png/status", { key: false }),
  "get /images/{key}/status 404": ({ call }) => call("GET", "/images/uploads/cat.png/status"),
  "get /images/{key}/status 500": ({ call, records }) => failing(records, "get", () => call("GET", "/images/uploads/cat.png/status")),
  "delete /images/{key} 204": async ({ call, completed }) => (await completed("cat.png")) && call("DELETE", "/images/uploads/cat.png"),
  "delete /images/{key} 401": ({ call }) => call("DELETE", "/images/uploads/cat.png", { key: false }),
  "delete /images/{key} 404": ({ call }) => call("DELETE", "/images/uploads/cat.png"),
  "delete /images/{key} 500": ({ call, records }) => failing(records, "get", () => call("DELETE", "/images/uploads/cat.png")),
  "post /images/{key}/redrive 202": async ({ call, failed }) =>
    (await failed("cat.png")) && call("POST", "/images/uploads/cat.png/redrive"),
  "post /images/{key}/redrive 401": ({ call }) => call("POST", "/images/uploads/cat.png/redrive", { key: false }),
  "post /images/{key}/redrive 404": ({ call }) => call("POST", "/images/uploads/cat.png/redrive"),
  "post /images/{key}/redrive 409": async ({ call }) =>
    (await call("POST", "/upload", { form: { file: file("cat.png") } })) && call("POST", "/images/uploads/cat.png/redrive"),
  "post /images/{key}/redrive 500": async ({ call, failed, workflow }) =>
    (await failed("cat.png")) && failing(workflow, "redrive", () => call("POST", "/images/uploads/cat.png/redrive")),
  "get /failures 200": async ({ call, failed, deadLetters, clock }) => {
    await failed("cat.png");
    await deadLetters.park({
      key: "uploads/dog.png",
      event: {},
      error: { code: "INTERNAL", message: "Throttled." },
      at: clock.now().toISOString(),
    });
    return call("GET", "/failures");
  },
  "get /failures 400": ({ call }) => call("GET", "/failures?cursor=nonsense"),
  "get /failures 401": ({ call }) => call("GET", "/failures", { key: false }),
  "get /failures 500": ({ call, deadLetters }) => failing(deadLetters, "list", () => call("GET", "/failures")),
  "get / 200": ({ call }) => call("GET", "/", { key: false }),
  "get /health 200": ({ call }) => call("GET", "/health", { key: false }),
  "get /openapi.json 200": ({ call }) => call("GET", "/openapi.json", { key: false }),
};

/** Only a token has a user that others can be told from: auth.test.ts shows them. */
const WITH_TOKENS = ["post /upload 403", "post /uploads 403", "get /images 403"];

async function failing<Port extends object>(port: Port, method: keyof Port, act: () => Promise<Answer>): Promise<Answer> {
  Object.assign(port, { [method]: broken });
  return (await logged(act)).answer;
}

describe("GET /openapi.json", () => {
  let document: Json;
  let promised: Map<string, Json>;

  before(async () => {
    document = (await api().call("GET", "/openapi.json", { key: false })).body;
    promised = new Map(
      Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
        Object.entries<Json>(methods).flatMap(([method, { responses }]) =>
          Object.entries<Json>(responses).map(([status, response]) => [`${method} ${path} ${status}`, response] as const),
        ),
      ),
    );
  });

  it("documents exactly what is known to happen", () => {
    assert.match(document.openapi, /^3\.1/);
    assert.equal(document.info.version, "1.2.3");
    assert.deepEqual([...promised.keys()].sort(), [...Object.keys(PROMISED), ...WITH_TOKENS].sort());
  });

  for (const [promise, make] of Object.entries(PROMISED)) {
    it(`keeps its word: ${promise}`, async () => {
      const { status, body, headers } = await make(api());
      assert.equal(status, Number(promise.split(" ").at(-1)), JSON.stringify(body));
      const content = promised.get(promise).content;
      const [type] = Object.keys(content ?? {});
      if (!type) return assert.equal(body, "");
      assert.ok(headers.get("content-type")?.startsWith(type));
      if (type === "application/json") assert.deepEqual(schema(content[type].schema).safeParse(body).error, undefined);
      assert.ok(!JSON.stringify(body).includes("photos-7f3a"), "what failed inside stays inside");
    });
  }

  it("names the code of every refusal", async () => {
    for (const [promise, make] of Object.entries(PROMISED)) {
      const { status, body } = await make(api());
      if (status < 400 || promise === "get /images/{key}/status 404") continue;
      assert.ok(promised.get(promise).description.includes(body.code), `${promise}: ${body.code}`);
    }
  });

  it("has one name for each operation, and a sentence", () => {
    const operations = Object.values<Json>(document.paths).flatMap((methods) => Object.values<Json>(methods));
    assert.equal(new Set(operations.map(({ operationId }) => operationId)).size, operations.length);
    for (const { summary } of operations) assert.ok(summary.length > 5);
  });

  it("refers only to what it defines", () => {
    const references = JSON.stringify(document).match(/#\/components\/[^"]+/g) ?? [];
    assert.ok(references.length > 10);
    for (const reference of references) {
      assert.ok(
        reference
          .slice(2)
          .split("/")
          .reduce((part: Json, name) => part?.[name], document),
        reference,
      );
    }
  });

  it("says how to authorize, and where nothing is needed", async () => {
    assert.deepEqual(document.security, [{ bearer: [] }]);
    const open = Object.entries<Json>(document.paths).filter(([, { get }]) => get?.security?.length === 0);
    assert.deepEqual(open.map(([path]) => path).sort(), ["/", "/health", "/openapi.json"]);
    const jwt = (await api({ auth: token }).call("GET", "/openapi.json")).body;
    assert.equal(jwt.components.securitySchemes.bearer.bearerFormat, "JWT");
    assert.deepEqual((await api({ auth: { kind: "none" } }).call("GET", "/openapi.json")).body.security, []);
  });

  /** A schema of the document, as a validator that knows no other members than the documented. */
  function schema(part: Json): z.ZodType {
    const closed = (value: Json): Json => {
      if (Array.isArray(value)) return value.map(closed);
      if (typeof value !== "object" || value === null) return value;
      const members = Object.fromEntries(Object.entries<Json>(value).map(([name, member]) => [name, closed(member)]));
      if (typeof members.$ref === "string") members.$ref = members.$ref.replace("#/components/schemas/", "#/$defs/");
      return members.type === "object" && members.properties && members.additionalProperties === undefined
        ? { ...members, additionalProperties: false }
        : members;
    };
    return z.fromJSONSchema({ ...closed(part), $defs: closed(document.components.schemas) });
  }
});
