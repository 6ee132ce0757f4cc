import assert from "node:assert/strict";
import { conformance } from "./describe.js";

/** Shown elsewhere: a 403 needs tokens of two users, and a 409 on redrive a moment that only in-memory ports can hold (tests/functions/core/api). */
const SHOWN_ELSEWHERE = / 403$|^POST \/images\/\{key\}\/redrive 409$/;
const NEEDS_A_FAULT = / 5\d\d$/;

// Named to come last: mocha runs files in alphabetical order.
conformance("The whole suite", (client) => {
  it("has shown every status that the deployment's own document promises", async function () {
    const { seen } = client();
    // Run on its own, this file has seen nothing yet.
    if (!seen.has("POST /upload 202")) this.skip();
    const { body: document } = await client().call("GET", "/openapi.json", { key: false });
    const promised = Object.entries(document.paths as Record<string, Record<string, { responses: Record<string, unknown> }>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).flatMap(([method, { responses }]) =>
          Object.keys(responses).map((status) => `${method.toUpperCase()} ${path} ${status}`),
        ),
    );
    assert.ok(promised.length > 20);
    assert.deepEqual(
      promised.filter((line) => !seen.has(line) && !NEEDS_A_FAULT.test(line) && !SHOWN_ELSEWHERE.test(line)),
      [],
    );
  });
});
