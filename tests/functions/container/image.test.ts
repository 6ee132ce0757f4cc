import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "../../../local/services/azure/containerregistry/build.js";
import { unpackContext } from "../../../local/services/azure/containerregistry/file-system.js";

describe("The image", function () {
  this.timeout(60_000);

  it("builds by hand from what `npm run image` writes: the two programs, sharp, nobody who is root", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "cli/image.ts"], {
      cwd: fileURLToPath(new URL("../../../", import.meta.url)),
      encoding: "buffer",
      maxBuffer: 2 ** 28,
    });
    const log: string[] = [];
    const { config, system, packages } = await build({ context: await unpackContext(stdout), log: (line) => void log.push(line) });
    assert.deepEqual([...system.files.keys()].sort(), ["app/package.json", "app/processor.mjs", "app/uploader.mjs"]);
    assert.ok(
      packages.some(({ path }) => path === "app/node_modules/sharp"),
      packages.map(({ path }) => path).join(),
    );
    const { user, command, entrypoint, workingFolder, environment, exposed } = config;
    assert.deepEqual([user, command, workingFolder, environment.NODE_ENV], ["65532:65532", ["uploader.mjs"], "/app", "production"]);
    assert.match(entrypoint.join(" "), /node$/);
    assert.deepEqual(exposed, ["8080"]);
  });
});
