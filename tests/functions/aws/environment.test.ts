import assert from "node:assert/strict";
import { environment } from "../../../functions/aws/environment.js";

describe("A handler's environment", () => {
  const names = ["UPLOADS_BUCKET", "DEAD_LETTERS_URL", "PIPELINE_SETTINGS"];
  const kept = Object.fromEntries(names.map((name) => [name, process.env[name]]));
  afterEach(() => {
    for (const name of names) {
      if (kept[name] === undefined) delete process.env[name];
      else process.env[name] = kept[name];
    }
  });

  it("is what the handler asks for, and nothing else is looked at", () => {
    process.env.UPLOADS_BUCKET = "photos";
    assert.deepEqual(environment("UPLOADS_BUCKET"), { UPLOADS_BUCKET: "photos" });
  });

  it("names the variable that the program forgot", () => {
    delete process.env.UPLOADS_BUCKET;
    assert.throws(
      () => environment("UPLOADS_BUCKET"),
      /^Error: UPLOADS_BUCKET is not set: the program that deploys this handler has to declare it\.$/,
    );
    process.env.UPLOADS_BUCKET = "";
    assert.throws(() => environment("UPLOADS_BUCKET"), /UPLOADS_BUCKET is not set/);
  });

  it("names the variable that is wrong, and what is wrong with it", () => {
    process.env.DEAD_LETTERS_URL = "parked";
    assert.throws(() => environment("DEAD_LETTERS_URL"), /DEAD_LETTERS_URL is "parked": .*URL/);
    process.env.PIPELINE_SETTINGS = '{"limits":{"bytes":-1}}';
    assert.throws(() => environment("PIPELINE_SETTINGS"), /PIPELINE_SETTINGS is not valid: [\s\S]*limits\.bytes/);
    process.env.PIPELINE_SETTINGS = "{";
    assert.throws(() => environment("PIPELINE_SETTINGS"), /PIPELINE_SETTINGS is "\{": .*not JSON/);
  });
});
