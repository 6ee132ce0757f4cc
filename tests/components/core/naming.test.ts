import assert from "node:assert/strict";
import { checkPipelineName, fitting, physicalName } from "../../../components/core/naming.js";

describe("Names", () => {
  it("are left to autonaming where its suffix still fits", () => {
    assert.equal(fitting("a".repeat(56), 64), undefined);
    assert.equal(fitting("a".repeat(57), 64)?.length, 64);
  });

  it("carry a hash where they are cut, so that two never become one", () => {
    const [one, other] = [fitting(`${"a".repeat(80)}-one`, 64), fitting(`${"a".repeat(80)}-other`, 64)];
    assert.match(one ?? "", /^a{56}-[0-9a-f]{7}$/);
    assert.notEqual(one, other);
    assert.equal(one, fitting(`${"a".repeat(80)}-one`, 64));
  });

  it("that are written out differ by whatever makes them unique", () => {
    const name = (...unique: string[]) => physicalName("/aws/vendedlogs/apis/photos", 512, ...unique);
    assert.match(name("project", "dev"), /^\/aws\/vendedlogs\/apis\/photos-[0-9a-f]{7}$/);
    assert.notEqual(name("project", "dev"), name("project", "prod"));
    assert.notEqual(name("ab", "c"), name("a", "bc"));
  });

  for (const name of ["photos", "p", "my-photos-2", "a".repeat(24)]) {
    it(`of pipelines: ${name}`, () => checkPipelineName(name));
  }

  for (const name of [
    "",
    "Photos",
    "1photos",
    "-photos",
    "photos-",
    "my--photos",
    "my_photos",
    "my.photos",
    "a".repeat(25),
    "xn--a",
    "sthree-photos",
    "amzn-s3-demo-x",
  ]) {
    it(`of pipelines, not: ${JSON.stringify(name)}`, () => {
      assert.throws(() => checkPipelineName(name), { code: "INVALID_ARGUMENT", message: /^the pipeline's name is / });
    });
  }
});
