import assert from "node:assert/strict";
import { fileName, InvalidName, labelsImageKey, uploadKey, variantKey } from "../../../functions/core/keys.js";

const prefix = "uploads/";

describe("Keys", () => {
  for (const [filename, key] of [
    ["cat.png", "uploads/cat.png"],
    ["holiday/2026/cat.png", "uploads/cat.png"],
    ["Ein schönes Bild (1).jpg", "uploads/Ein schönes Bild (1).jpg"],
    ["猫.webp", "uploads/猫.webp"],
    ["...", "uploads/..."],
    ["a+b&c=d.gif", "uploads/a+b&c=d.gif"],
    ["no extension", "uploads/no extension"],
    ["x".repeat(200), `uploads/${"x".repeat(200)}`],
    ["😀".repeat(200), `uploads/${"😀".repeat(200)}`],
  ] as const) {
    it(`an upload named ${JSON.stringify(filename).slice(0, 40)} lies under its last segment`, () =>
      assert.equal(uploadKey({ filename, prefix }), key));
  }

  it("two spellings of one name are one key", () => {
    assert.equal(uploadKey({ filename: "cafe\u0301.jpg", prefix }), uploadKey({ filename: "caf\u00e9.jpg", prefix }));
  });

  for (const [filename, rule] of [
    ["", "is empty"],
    ["  ", "is empty"],
    ["folder/", "is empty"],
    [".", 'is "." or ".."'],
    ["a/..", 'is "." or ".."'],
    ["a\nb.png", "contains a control character"],
    ["a\u0000.png", "contains a control character"],
    ["a\u007f.png", "contains a control character"],
    ["a\u2028.png", "contains a control character"],
    ["..\\cat.png", "contains a backslash"],
    ["what?.png", "contains ?, # or %"],
    ["#1.png", "contains ?, # or %"],
    ["100%.png", "contains ?, # or %"],
    ["\ud800.png", "is not well-formed Unicode"],
    ["x".repeat(201), "is longer than 200 characters"],
  ] as const) {
    it(`refuses the name ${JSON.stringify(filename).slice(0, 30)}, which ${rule}`, () => {
      assert.throws(
        () => uploadKey({ filename, prefix }),
        (error) =>
          error instanceof InvalidName && error.code === "INVALID_NAME" && error.message.includes(` ${rule}: use 1 to 200 characters`),
      );
    });
  }

  it("a user whose id is a plain word has a folder of that name", () => {
    assert.equal(uploadKey({ filename: "cat.png", user: "ada@example.org", prefix }), "uploads/ada@example.org/cat.png");
  });

  it("any other subject has a folder of its own that is one plain segment", () => {
    const subjects = [
      "auth0|1",
      "auth0|2",
      "../admin",
      "a/b",
      "..",
      ".",
      "",
      "Ä",
      "ä",
      "x".repeat(65),
      "x".repeat(66),
      "~a",
      "a b",
      "\ud800",
    ];
    const keys = subjects.map((user) => uploadKey({ filename: "cat.png", user, prefix }));
    for (const key of keys) assert.match(key, /^uploads\/~[0-9a-f]{40}\/cat\.png$/);
    assert.equal(new Set(keys).size, subjects.length);
    assert.deepEqual(
      keys,
      subjects.map((user) => uploadKey({ filename: "cat.png", user, prefix })),
    );
  });

  it("nobody can name themselves into another's folder", () => {
    const folder = uploadKey({ filename: "cat.png", user: "auth0|1", prefix }).split("/")[1] as string;
    assert.notEqual(uploadKey({ filename: "cat.png", user: folder, prefix }).split("/")[1], folder);
  });

  it("variants lie under the image's full key", () => {
    assert.equal(variantKey("uploads/ada/cat.png", "small", "jpg"), "thumbnails/uploads/ada/cat.png/small.jpg");
  });

  it("variants of the longest keys that a store takes have keys that it takes, too", () => {
    const [one, other] = [`uploads/${"é".repeat(508)}`, `uploads/${"è".repeat(508)}`];
    assert.equal(Buffer.byteLength(one), 1024);
    const keys = [variantKey(one, "large", "png"), variantKey(one, "small", "png"), variantKey(other, "large", "png")];
    for (const key of keys) assert.ok(Buffer.byteLength(key) <= 1024, key);
    assert.equal(new Set(keys).size, 3);
  });

  it("labels are kept by content", () => assert.equal(labelsImageKey("0f"), "labels/0f.jpg"));

  it("a file's name is the last segment of its key", () => {
    assert.deepEqual(["uploads/ada/cat.png", "cat.png"].map(fileName), ["cat.png", "cat.png"]);
  });
});
