import assert from "node:assert/strict";
import { bytes, megabytes, pixels, seconds } from "../../../components/core/units.js";

const invalid = (message: string) => ({ code: "INVALID_ARGUMENT", name: "InvalidArgument", message });

describe("Units", () => {
  it("are read as people write them", () => {
    assert.equal(seconds("1 minute", { of: "x", max: "1 day" }), 60);
    assert.equal(seconds("1.5 hours", { of: "x", max: "1 day" }), 5_400);
    assert.equal(pixels("50 MP", { of: "x", max: "100 MP" }), 50_000_000);
    assert.equal(pixels("640 px", { of: "x", max: "100 MP" }), 640);
  });

  it("are decimal for files, and binary for memory, as clouds have it", () => {
    assert.equal(bytes("25 MB", { of: "x", max: "100 MB" }), 25_000_000);
    assert.equal(bytes("4.1 MB", { of: "x", max: "100 MB" }), 4_100_000);
    assert.equal(megabytes("2 GB", { of: "x", max: "10 GB" }), 2_048);
    assert.equal(megabytes("1769 MB", { of: "x", max: "10240 MB" }), 1_769);
  });

  it("may be exactly the bounds", () => {
    assert.equal(bytes("100 MB", { of: "x", max: "100 MB" }), 100_000_000);
    assert.equal(seconds("1 minute", { of: "x", min: "60 seconds", max: "2 minutes" }), 60);
  });

  it("are refused when they are nothing, too much or too little", () => {
    assert.throws(
      () => bytes("0 MB", { of: "limits.bytes", max: "100 MB" }),
      invalid('limits.bytes is "0 MB": it must be more than zero and at most "100 MB".'),
    );
    assert.throws(
      () => bytes("101 MB", { of: "limits.bytes", max: "100 MB" }),
      invalid('limits.bytes is "101 MB": it must be more than zero and at most "100 MB".'),
    );
    assert.throws(
      () => seconds("59 seconds", { of: "t", min: "1 minute", max: "1 hour" }),
      invalid('t is "59 seconds": it must be between "1 minute" and "1 hour".'),
    );
    assert.throws(() => seconds("0.5 seconds", { of: "t", max: "1 hour" }), invalid('t is "0.5 seconds": it must be whole seconds.'));
  });

  for (const value of [
    "-1 MB",
    "NaN MB",
    "Infinity MB",
    "1e3 MB",
    "1MB",
    "1 mb",
    "MB",
    "",
    "1 constructor",
    "0x10 MB",
    " 1 MB",
    `${"9".repeat(30)} MB`,
    25,
    undefined,
    null,
  ]) {
    it(`refuses ${JSON.stringify(value)} as a size`, () => {
      assert.throws(
        () => bytes(value as never, { of: "limits.bytes", max: "100 MB" }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, "INVALID_ARGUMENT");
          assert.match(error.message, /^limits\.bytes is .*: it must be a size such as "25 MB"/);
          return true;
        },
      );
    });
  }

  it("do not compile when they are of another kind", () => {
    // @ts-expect-error minutes are no size
    assert.throws(() => bytes("3 minutes", { of: "x", max: "1 MB" }));
    // @ts-expect-error a size is no duration
    assert.throws(() => seconds("3 MB", { of: "x", max: "1 minute" }));
  });
});
