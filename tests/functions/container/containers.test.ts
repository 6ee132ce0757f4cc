import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import sharp from "sharp";
import { encoded } from "../../../functions/azure/queue-message.js";
import * as photos from "../../photos.js";
import { type TestAzurite, testAzurite } from "./azurite.js";
import { type Container, composed, type Environment, type Programs, programs } from "./containers.js";

describe("The containers, as compose.yaml runs them", function () {
  this.timeout(60_000);
  let azurite: TestAzurite;
  let image: Programs;
  let uploader: Container;
  let processor: Container;
  let environments: { uploader: Environment; processor: Environment };
  let url: string;

  before(async () => {
    [azurite, image] = await Promise.all([testAzurite(), programs()]);
    environments = { uploader: await composed("uploader", azurite), processor: await composed("processor", azurite) };
    uploader = image.run("uploader.mjs", environments.uploader);
    processor = image.run("processor.mjs", { ...environments.processor, WATCH_SECONDS: "0.2" });
    url = await uploader.url();
    await Promise.all([uploader.says("ready"), processor.says("ready")]);
  });
  after(async () => {
    const codes = await Promise.all([uploader?.end(), processor?.end()]);
    await azurite?.stop();
    await image?.remove();
    assert.deepEqual(codes, [0, 0], "they end in order");
  });

  const call = async (method: string, route: string) => {
    const response = await fetch(`${url}${route}`, { method });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  };
  const record = async (key: string, fits = (status: string) => status !== "processing") => {
    for (const end = Date.now() + 20_000; Date.now() < end; await pause(50)) {
      const { status, body } = await call("GET", `/images/${key}/status`);
      if (status === 200 && fits(body.status)) return body;
    }
    return assert.fail(`${key} is not done: ${JSON.stringify(processor.lines.slice(-5))}`);
  };
  const gone = async (look: () => Promise<boolean>) => {
    for (const end = Date.now() + 10_000; Date.now() < end; await pause(50)) if (!(await look())) return;
    assert.fail("It is still there.");
  };

  it("take a photo by curl, just as it is written, and process it", async () => {
    const file = path.join(image.folder, "photo.png");
    await writeFile(file, await photos.transparentPng());
    const { stdout } = await promisify(execFile)("curl", ["-s", "-w", "\n%{http_code}", "-F", "file=@./photo.png", `${url}/upload`], {
      cwd: image.folder,
    });
    const [body = "", status] = stdout.split("\n");
    assert.equal(status, "202");
    assert.deepEqual(JSON.parse(body), { key: "uploads/photo.png", statusUrl: "/images/uploads/photo.png/status" });
    const done = await record("uploads/photo.png");
    assert.deepEqual([done.status, done.width, done.height, done.hasAlpha], ["completed", 300, 200, true]);
    assert.deepEqual(done.variants.map(({ name }: { name: string }) => name).sort(), ["large", "processed", "small"]);
    assert.ok(done.tags.length > 0);
  });

  it("make a processed image: upright, without metadata, of bounded size, and beside it the thumbnails", async () => {
    const raw = azurite.blobs.getContainerClient("rawfiles").getBlockBlobClient("holiday/turned.jpg");
    const bytes = await photos.turnedJpeg(3_400, 1_700);
    // Put straight into the container, by whoever.
    await raw.uploadData(bytes);
    const done = await record("holiday/turned.jpg");
    assert.deepEqual([done.status, done.width, done.height, done.orientation], ["completed", 1_700, 3_400, 6]);
    const { body } = await call("GET", "/images/holiday/turned.jpg");
    const picture = Buffer.from(await (await fetch(body.urls.variants.processed)).arrayBuffer());
    const seen = await sharp(picture).metadata();
    assert.deepEqual(
      [seen.format, seen.width, seen.height, seen.orientation, seen.exif, seen.icc],
      ["jpeg", 1_280, 2_560, undefined, undefined, undefined],
    );
    const blobs: string[] = [];
    for await (const { name } of azurite.blobs.getContainerClient("processed").listBlobsFlat({ prefix: "thumbnails/holiday/" }))
      blobs.push(name);
    assert.deepEqual(
      blobs,
      ["large", "processed", "small"].map((name) => `thumbnails/holiday/turned.jpg/${name}.jpg`),
    );
  });

  it("never make a small picture larger", async () => {
    await azurite.blobs
      .getContainerClient("rawfiles")
      .getBlockBlobClient("tiny.webp")
      .uploadData(await photos.webp());
    const { variants } = await record("tiny.webp");
    const processed = variants.find(({ name }: { name: string }) => name === "processed");
    assert.deepEqual([processed.width, processed.height, processed.format], [320, 240, "jpeg"]);
  });

  it("record what is no picture as failed", async () => {
    await azurite.blobs.getContainerClient("rawfiles").getBlockBlobClient("notes.png").uploadData(photos.svg());
    assert.deepEqual((await record("notes.png")).failure.code, "UNSUPPORTED_FORMAT");
  });

  it("know whose an image is by the message about it, which comes when it comes", async () => {
    const blob = azurite.blobs.getContainerClient("rawfiles").getBlockBlobClient("ann.jpg");
    await blob.uploadData(await photos.jpeg(200, 100, 8));
    await record("ann.jpg");
    await azurite.queues.getQueueClient("jobqueue").sendMessage(encoded({ blobUrl: blob.url, userId: "ann" }));
    for (const end = Date.now() + 10_000; (await record("ann.jpg")).user !== "ann"; await pause(50)) assert.ok(Date.now() < end);
    assert.deepEqual(
      (await call("GET", "/images?user=ann")).body.items.map(({ key }: { key: string }) => key),
      ["ann.jpg"],
    );
  });

  it("take a newer version for what it is, and clean up after what is deleted, by the API or in the container", async () => {
    const blob = azurite.blobs.getContainerClient("rawfiles").getBlockBlobClient("again.jpg");
    const made = () => azurite.blobs.getContainerClient("processed").getBlobClient("thumbnails/again.jpg/small.jpg").exists();
    for (const [width, height] of [
      [80, 60],
      [90, 60],
      [100, 60],
    ] as const) {
      await blob.uploadData(await photos.jpeg(width, height));
      for (const end = Date.now() + 10_000; (await record("again.jpg")).width !== width; await pause(50)) assert.ok(Date.now() < end);
    }
    await blob.delete();
    await gone(async () => (await call("GET", "/images/again.jpg/status")).status === 200);
    await gone(made);

    await blob.uploadData(await photos.jpeg(110, 60));
    assert.equal((await record("again.jpg")).width, 110);
    assert.equal((await call("DELETE", "/images/again.jpg")).status, 204);
    assert.deepEqual([await blob.exists(), await made(), (await call("GET", "/images/again.jpg")).status], [false, false, 404]);
  });

  it("show what nobody can read among the failures", async () => {
    await azurite.queues.getQueueClient("jobqueue").sendMessage(encoded("junk"));
    for (const end = Date.now() + 10_000; ; await pause(50)) {
      const { body } = await call("GET", "/failures");
      if (body.deadLetters?.some(({ error }: { error: { code: string } }) => error.code === "UNREADABLE")) break;
      assert.ok(Date.now() < end, JSON.stringify(body));
    }
  });

  it("serve the page, whose policy lets it reach the store", async () => {
    const response = await fetch(url);
    assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
    assert.match(response.headers.get("content-security-policy") ?? "", new RegExp(new URL(azurite.environment.STORAGE_BLOB_URL).origin));
  });

  it("tell the cluster that they work, may be sent work, and how much they have done", async () => {
    for (const container of [uploader, processor]) {
      const at = await container.url();
      for (const probe of ["healthz", "readyz"]) assert.equal((await fetch(`${at}/${probe}`)).status, 200, probe);
      const metrics = await fetch(`${at}/metrics`);
      assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      assert.match(await metrics.text(), /process_cpu_seconds_total/);
    }
    const counts = (text: string, line: RegExp) =>
      assert.ok(line.test(text), `${line} in:\n${text.replace(/^(#.*|(process|nodejs).*)\n/gm, "")}`);
    const done = await (await fetch(`${await processor.url()}/metrics`)).text();
    counts(done, /image_pipeline_messages_total\{result="completed",role="processor"\} [1-9]/);
    counts(done, /image_pipeline_messages_total\{result="parked",role="processor"\} 1\b/);
    counts(done, /image_pipeline_stage_seconds_count\{.*stage="GenerateThumbnails",succeeded="true"\} [1-9]/);
    counts(done, /image_pipeline_messages_in_flight\{role="processor"\} 0\b/);
    const asked = await (await fetch(`${url}/metrics`)).text();
    counts(asked, /image_pipeline_http_request_seconds_count\{.*method="POST",route="\/upload",status="202"\} 1\b/);
    counts(asked, /_count\{.*route="\/images\/\{key\}\/status",status="200"\} [1-9]/);
    assert.ok(!asked.includes("again.jpg"), "no image's name");
  });

  it("ends in order: the uploader is not ready any more, and still answers until everybody knows", async () => {
    const other = image.run("uploader.mjs", { ...environments.uploader, DRAIN_SECONDS: "1" });
    const at = await other.url();
    await other.says("ready");
    other.process.kill("SIGTERM");
    await other.says("ending");
    assert.equal((await fetch(`${at}/readyz`)).status, 503);
    const last = await fetch(`${at}/health`);
    assert.deepEqual([last.status, last.headers.get("connection")], [200, "close"]);
    assert.equal(await other.exited, 0);
    await assert.rejects(fetch(`${at}/health`));
  });
});
