import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { PageAssets } from "../../functions/core/api/page.js";
import { buildPage } from "../../web/build.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

describe("The page's build", () => {
  let page: PageAssets;

  before(async () => {
    page = await buildPage();
  });

  it("is the document, and the assets that it refers to", () => {
    const referred = [...(page["/"]?.body ?? "").matchAll(/(?:href|src)="([^"]+)"/g)].map(([, path]) => path as string);
    assert.deepEqual(
      [...new Set(referred)].sort(),
      Object.keys(page)
        .filter((path) => path !== "/")
        .sort(),
    );
    for (const kind of [/^\/assets\/page-[0-9a-f]{12}\.js$/, /^\/assets\/style-[0-9a-f]{12}\.css$/, /^\/assets\/icon-[0-9a-f]{12}\.svg$/]) {
      assert.ok(
        referred.some((path) => kind.test(path)),
        String(kind),
      );
    }
  });

  it("lets browsers keep what is named by its content, and ask anew for the document", () => {
    for (const [path, { cacheControl, hash, body, contentType }] of Object.entries(page)) {
      assert.equal(cacheControl, path === "/" ? "no-cache" : "public, max-age=31536000, immutable");
      assert.equal(hash, createHash("sha256").update(body).digest("hex"));
      assert.match(contentType, /; charset=utf-8$/);
    }
  });

  it("has nothing inline that the content security policy would stop", () => {
    assert.doesNotMatch(page["/"]?.body ?? "", /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/);
  });

  it("is the same bytes wherever it is built, and other names for other content", async () => {
    const folder = await mkdtemp(join(tmpdir(), "page-"));
    try {
      await cp(join(ROOT, "web"), join(folder, "web"), { recursive: true });
      await cp(join(ROOT, "functions", "core"), join(folder, "functions", "core"), { recursive: true });
      await cp(join(ROOT, "tsconfig.json"), join(folder, "tsconfig.json"));
      await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
      await writeFile(join(folder, "package.json"), '{"type":"module"}');
      const { buildPage: elsewhere } = (await import(
        pathToFileURL(join(folder, "web", "build.ts")).href
      )) as typeof import("../../web/build.js");
      assert.deepEqual(await elsewhere(), page);
      await writeFile(join(folder, "web", "style.css"), "body{color:red}");
      const changed = Object.keys(await elsewhere());
      assert.deepEqual(
        Object.keys(page)
          .filter((path) => !changed.includes(path))
          .map((path) => path.replace(/-\w+\./, ".")),
        ["/assets/style.css"],
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
