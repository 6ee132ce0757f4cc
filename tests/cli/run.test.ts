import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sql from "mssql";
import * as photos from "../photos.js";
import { Command } from "./command.js";

for (const stack of ["aws", "azure", "azure-kubernetes"]) {
  describe(`npm start -- ${stack}`, function () {
    this.timeout(120_000);
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "start-"));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it("--once processes the samples, each to what it must end as, and prints a record per line", async () => {
      const command = new Command(stack, "--once", "--graph", join(folder, "graph.json"), "--outputs", join(folder, "outputs.json"));
      assert.equal(await command.ended(), 0, command.stderr);
      const records = command.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      const expected = JSON.parse(await readFile("samples/expected.json", "utf8"));
      assert.equal(records.length, Object.keys(expected).length);
      assert.ok(records.some(({ status }) => status === "completed"));
      assert.ok(records.some(({ status }) => status === "failed"));

      const graph: { urn: string; type: string; name: string; inputs: object }[] = JSON.parse(
        await readFile(join(folder, "graph.json"), "utf8"),
      );
      assert.ok(graph.length > 30);
      for (const { urn, type, name, inputs } of graph)
        assert.deepEqual([typeof urn, typeof type, typeof name, typeof inputs], ["string", "string", "string", "object"]);

      const outputs = JSON.parse(await readFile(join(folder, "outputs.json"), "utf8"));
      for (const name of ["url", "apiKey", "uploads", "thumbnails", "topic", "workflow", "records", "deadLetters"])
        assert.equal(typeof outputs[name], "string", name);
      assert.ok(outputs.apiKey.length >= 16);
      assert.equal((await stat(join(folder, "outputs.json"))).mode & 0o077, 0, "it holds the key: nobody else may read it");
    });

    it("--once FILE exits with 1 when a file does not complete", async () => {
      const good = join(folder, "good.jpg");
      const bad = join(folder, "bad.jpg");
      await writeFile(good, await photos.jpeg(300, 200));
      await writeFile(bad, "not a picture");
      const both = new Command(stack, "--once", good, bad);
      assert.equal(await both.ended(), 1);
      assert.deepEqual(
        both.stdout
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line).status)
          .sort(),
        ["completed", "failed"],
      );
      const one = new Command(stack, "--once", good);
      assert.equal(await one.ended(), 0, one.stderr);
    });

    it("--data keeps state: a second start creates nothing, finds the images and has the same key", async () => {
      const data = join(folder, "data");
      const outputs = join(folder, "kept.json");
      const first = new Command(stack, "--data", data, "--outputs", outputs);
      await first.says(/Ctrl\+C/);
      const before = JSON.parse(await readFile(outputs, "utf8"));
      const list = async ({ url, apiKey }: { url: string; apiKey: string }) =>
        (await (await fetch(`${url}/images?limit=100`, { headers: { authorization: `Bearer ${apiKey}` } })).json()) as { items: unknown[] };
      const images = await list(before);
      assert.ok(images.items.length > 3);
      await first.stop();

      await rm(outputs);
      const second = new Command(stack, "--data", data, "--outputs", outputs);
      const [, created] = await second.says(/Ready in [\d.]+ s: (\d+) created/);
      await second.says(/Ctrl\+C/);
      const after = JSON.parse(await readFile(outputs, "utf8"));
      assert.equal(created, "0");
      assert.equal(after.apiKey, before.apiKey);
      assert.deepEqual(await list(after), images);
      await second.stop();
    });

    if (stack !== "aws") {
      it("prints a connection that is ready to use: the rows are there, newest first", async () => {
        const command = new Command(stack);
        try {
          const [, connection = ""] = await command.says(/^ +rows +(\S.*)$/m);
          const pool = await sql.connect(connection);
          const { recordset } = await pool.query("SELECT FileName, UploadedOn FROM ImageMetadata ORDER BY UploadedOn DESC");
          await pool.close();
          assert.ok(recordset.some(({ FileName }) => FileName === "mountains.jpg"));
          const times = recordset.map(({ UploadedOn }) => UploadedOn.getTime());
          assert.deepEqual(
            times,
            times.toSorted((a, b) => b - a),
          );
        } finally {
          await command.stop();
        }
      });
    }
  });
}
