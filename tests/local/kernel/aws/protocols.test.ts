import assert from "node:assert/strict";
import { queryProtocol } from "../../../../local/kernel/aws/protocols/query.js";
import { readXml, writeXml } from "../../../../local/kernel/aws/protocols/xml.js";
import type { HttpRequest } from "../../../../local/kernel/http.js";

const form = (fields: Record<string, string>): HttpRequest => ({
  method: "POST",
  target: "/",
  url: new URL("http://127.0.0.1/"),
  headers: { "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  body: Buffer.from(new URLSearchParams(fields).toString()),
});

describe("The query protocol", () => {
  const protocol = queryProtocol({ signing: "sns", version: "2010-03-31", namespace: "http://sns.amazonaws.com/doc/2010-03-31/" });

  it("knows its unsigned requests by the version", () => {
    assert(protocol.claims(form({ Action: "Publish", Version: "2010-03-31" })));
    assert(!protocol.claims(form({ Action: "Publish", Version: "2011-06-15" })));
  });

  it("reads lists, maps and structures", async () => {
    const fields = {
      Action: "Publish",
      Version: "2010-03-31",
      Message: "a b",
      "MessageAttributes.entry.1.Name": "status",
      "MessageAttributes.entry.1.Value.DataType": "String",
      "MessageAttributes.entry.1.Value.StringValue": "done",
      "Tags.member.2.Key": "second",
      "Tags.member.1.Key": "first",
    };
    assert.deepEqual(await protocol.decode(form(fields), undefined as never), {
      operation: "Publish",
      input: {
        Message: "a b",
        MessageAttributes: { status: { DataType: "String", StringValue: "done" } },
        Tags: [{ Key: "first" }, { Key: "second" }],
      },
    });
  });

  it("is not led astray by names that objects inherit", async () => {
    const { input } = await protocol.decode(form({ Action: "Publish", "__proto__.polluted": "yes" }), undefined as never);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.equal((input as Record<string, unknown>).polluted, undefined);
  });

  it("writes lists and maps as SDKs read them", () => {
    const { body } = protocol.encode("List", { Names: ["a", "b"], Attributes: new Map([["k", "<v>"]]), Empty: [] }, form({}), "id-1");
    const { root, content } = readXml(String(body));
    assert.equal(root, "ListResponse");
    assert.deepEqual(content.ListResult.Names, { member: ["a", "b"] });
    assert.deepEqual(content.ListResult.Attributes, { entry: { key: "k", value: "<v>" } });
    assert.equal(content.ResponseMetadata.RequestId, "id-1");
  });
});

describe("XML", () => {
  it("keeps text as it is", () => {
    const text = ' <a> & "b" \u00fc 0010 ';
    assert.deepEqual(readXml(writeXml("Root", { Text: text, Flag: true, Gone: undefined })), {
      root: "Root",
      content: { Text: text, Flag: "true" },
    });
  });

  it("has its namespace on the root", () => {
    assert.match(writeXml("Root", { A: 1 }, { namespace: "urn:x" }), /<Root xmlns="urn:x"><A>1<\/A><\/Root>/);
  });

  it("is refused when it is none", () => {
    assert.throws(() => readXml("<a><b></a>"));
    assert.throws(() => readXml("hello"));
  });
});
