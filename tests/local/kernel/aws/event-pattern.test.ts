import assert from "node:assert/strict";
import { compileEventPattern } from "../../../../local/kernel/aws/event-pattern.js";
import type { Properties } from "../../../../local/kernel/service.js";

const created = {
  source: "aws.s3",
  "detail-type": "Object Created",
  resources: ["arn:aws:s3:::photos"],
  detail: {
    bucket: { name: "photos" },
    object: { key: "uploads/Cat.png", size: 1024 },
    reason: "PutObject",
    deleted: false,
    owner: null,
    sizes: [1, 5],
  },
};

const matches = (pattern: Properties, event: Properties = created) => compileEventPattern(JSON.stringify(pattern))(event);
const key = (rule: unknown) => matches({ detail: { object: { key: [rule] } } });
const size = (rule: unknown) => matches({ detail: { object: { size: [rule] } } });

describe("Event patterns", () => {
  it("match when every field has one of its values", () => {
    assert(matches({ source: ["aws.s3"], "detail-type": ["Object Deleted", "Object Created"], detail: { bucket: { name: ["photos"] } } }));
    assert(!matches({ source: ["aws.s3"], detail: { bucket: { name: ["other"] } } }));
    assert(!matches({ source: ["aws.s3"], detail: { missing: ["a"] } }));
  });

  it("match values of their own type only", () => {
    assert(size(1024) && !size("1024"));
    assert(matches({ detail: { deleted: [false] } }) && !matches({ detail: { deleted: ["false"] } }));
    assert(matches({ detail: { owner: [null] } }));
    assert(!matches({ detail: { missing: [null] } }));
  });

  it("match arrays by any of their items", () => {
    assert(matches({ resources: ["arn:aws:s3:::photos"] }));
    assert(matches({ detail: { sizes: [{ numeric: [">", 4] }] } }));
    assert(!matches({ detail: { sizes: [{ numeric: [">", 5] }] } }));
  });

  it("match arrays of objects by one item that has it all", () => {
    const pets = {
      pets: [
        { kind: "cat", age: 3 },
        { kind: "dog", age: 9 },
      ],
    };
    assert(matches({ pets: { kind: ["dog"], age: [9] } }, pets));
    assert(!matches({ pets: { kind: ["dog"], age: [3] } }, pets));
  });

  it("know prefix and suffix, also ignoring case", () => {
    assert(key({ prefix: "uploads/" }) && !key({ prefix: "Uploads/" }));
    assert(key({ suffix: ".png" }) && !key({ suffix: ".jpg" }));
    assert(key({ prefix: { "equals-ignore-case": "UPLOADS/" } }) && key({ suffix: { "equals-ignore-case": ".PNG" } }));
  });

  it("know equals-ignore-case and wildcard", () => {
    assert(key({ "equals-ignore-case": "UPLOADS/cat.PNG" }) && !key({ "equals-ignore-case": "cat.png" }));
    assert(key({ wildcard: "uploads/*.png" }) && !key({ wildcard: "uploads/*.jpg" }) && !key({ wildcard: "*.pn." }));
    assert(matches({ text: [{ wildcard: "a\\*b" }] }, { text: "a*b" }) && !matches({ text: [{ wildcard: "a\\*b" }] }, { text: "axb" }));
  });

  it("know anything-but, of values and of rules", () => {
    assert(key({ "anything-but": "x" }) && !key({ "anything-but": ["x", "uploads/Cat.png"] }));
    assert(!key({ "anything-but": { prefix: "uploads/" } }) && key({ "anything-but": { suffix: [".jpg", ".gif"] } }));
    assert(!key({ "anything-but": { wildcard: "*Cat*" } }) && !key({ "anything-but": { "equals-ignore-case": "uploads/cat.png" } }));
    assert(!matches({ detail: { missing: [{ "anything-but": "x" }] } }), "what is not there is not anything but");
  });

  it("know numeric, as a bound or a range", () => {
    assert(size({ numeric: ["=", 1024] }) && size({ numeric: [">", 0, "<=", 1024] }));
    assert(!size({ numeric: [">", 0, "<", 1024] }) && !size({ numeric: [">=", 1025] }));
    assert(!key({ numeric: [">", 0] }));
  });

  it("know exists", () => {
    assert(key({ exists: true }) && !key({ exists: false }));
    assert(matches({ detail: { missing: [{ exists: false }] } }) && !matches({ detail: { missing: [{ exists: true }] } }));
  });

  it("know $or between fields", () => {
    const either = { detail: { $or: [{ reason: ["CopyObject"] }, { object: { size: [{ numeric: [">", 1000] }] } }] } };
    assert(matches(either));
    assert(!matches(either, { detail: { reason: "PutObject", object: { size: 1 } } }));
    assert(matches(either, { detail: { reason: "CopyObject", object: { size: 1 } } }));
  });

  it("do not look at what objects inherit", () => assert(!matches({ constructor: [{ exists: true }] }, {})));

  for (const [pattern, reason] of [
    ["{", /Reason/],
    ["[]", /must be a JSON object/],
    ["{}", /is empty/],
    ['{"source": "aws.s3"}', /"source" must be an object or an array/],
    ['{"source": []}', /empty array/],
    ['{"source": [{"prefx": "a"}]}', /unrecognized match type prefx/],
    ['{"source": [{"prefix": 1}]}', /prefix takes a string/],
    ['{"source": [{"prefix": "a", "suffix": "b"}]}', /several kinds/],
    ['{"source": [{"numeric": [">", "1"]}]}', /numeric takes/],
    ['{"source": [{"cidr": "10.0.0.0/8"}]}', /unrecognized match type cidr/],
    ['{"source": [{"exists": "yes"}]}', /exists is true or false/],
  ] as const) {
    it(`are refused: ${pattern}`, () =>
      assert.throws(() => compileEventPattern(pattern), { code: "InvalidEventPatternException", message: reason }));
  }
});
