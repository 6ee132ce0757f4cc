import assert from "node:assert/strict";
import { outward } from "../../../local/kernel/outward.js";

const OPEN = ["https://127.0.0.1:4000", "https://127.0.0.1:4001"];

describe("An answer for somebody outside", () => {
  it("has addresses that open without a certificate, in its body as in its headers", () => {
    const { headers, body } = outward(
      {
        status: 200,
        headers: {
          "Content-Type": "application/json",
          "content-length": "41",
          "content-security-policy": "img-src https://127.0.0.1:4001",
        },
        body: Buffer.from('{"url":"https://127.0.0.1:4000/a/b?sig=ä"}'),
      },
      OPEN,
    );
    assert.equal(body, '{"url":"http://127.0.0.1:4000/a/b?sig=ä"}');
    assert.deepEqual(headers, {
      "Content-Type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "content-security-policy": "img-src http://127.0.0.1:4001",
    });
  });

  it("keeps every other address", () => {
    const body = '{"url":"https://127.0.0.1:4002/","other":"https://example.org"}';
    assert.equal(outward({ status: 200, headers: { "content-type": "application/json" }, body }, OPEN).body, body);
  });

  it("keeps pictures byte by byte, and what is compressed", () => {
    const body = Buffer.from("https://127.0.0.1:4000");
    for (const headers of [{ "content-type": "image/png" }, { "content-type": "text/html", "content-encoding": "gzip" }, {}] as Record<
      string,
      string
    >[])
      assert.equal(outward({ status: 200, headers, body }, OPEN).body, body);
  });
});
