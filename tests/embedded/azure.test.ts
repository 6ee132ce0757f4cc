import assert from "node:assert/strict";
import { odata, type TableEntityResult } from "@azure/data-tables";
import {
  BlobSASPermissions,
  BlobServiceClient,
  BlockBlobClient,
  ContainerClient,
  generateBlobSASQueryParameters,
} from "@azure/storage-blob";
import { DEPLOYER } from "../../local/kernel/azure/arm.js";
import { issueToken } from "../../local/kernel/azure/tokens.js";
import type { CloudEvent } from "../../local/kernel/cloud.js";
import { NO_FAULTS } from "../../local/kernel/faults.js";
import * as photos from "../photos.js";
import { type EmbeddedAws, startPipeline as startOnAws } from "./aws-stack.js";
import { type EmbeddedAzure, startPipeline } from "./azure-stack.js";

describe("The Azure pipeline on the embedded cloud", function () {
  this.timeout(120_000);
  let pipeline: EmbeddedAzure;
  let uploads: ContainerClient;
  let eventsDelayed = 0;
  const published: CloudEvent[] = [];

  before(async () => {
    pipeline = await startPipeline(
      { notify: { email: "ops@example.org" } },
      { cloud: { faults: { ...NO_FAULTS, delivery: () => ({ delay: eventsDelayed, duplicate: false, lostAcknowledgement: false }) } } },
    );
    pipeline.stack.cloud.subscribe((event) => published.push(event));
    uploads = pipeline.container(pipeline.stack.outputs.uploads);
  });
  after(() => pipeline?.stop());

  const put = async (name: string, bytes: Uint8Array, metadata: Record<string, string> = {}) => {
    const { etag } = await uploads.getBlockBlobClient(name).uploadData(bytes, { metadata });
    return etag;
  };
  const base64 = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");
  /** What the durable client API says of the orchestrations of an image. */
  const orchestrations = async (key: string) => {
    const listed = (await (await fetch(pipeline.access.apps[0]?.orchestrations as string)).json()) as Orchestration[];
    return listed.filter(({ input }) => input.arrival.key === key);
  };
  const rowsOf = (key: string) => pipeline.rows(`SELECT * FROM ImageMetadata WHERE ImageKey = N'${key}'`);
  const tagRows = async (filter: string) => {
    const found: TableEntityResult<Record<string, unknown>>[] = [];
    for await (const row of pipeline.table("ImageTags").listEntities({ queryOptions: { filter } })) found.push(row);
    return found;
  };
  /** E-mails and events of the topic that were sent about an image. */
  const announced = (key: string) => {
    const sent = pipeline.stack.cloud.trace.entries("message").map(({ detail }) => detail as Record<string, string>);
    return {
      mails: sent.filter(({ body }) => body?.startsWith('{"key"') && JSON.parse(body).key === key),
      events: sent.map(({ event }) => event as unknown as Record<string, string> | undefined).filter((event) => event?.subject === key),
    };
  };

  describe("given a file that the Azure SDK puts into images-input with a SAS", () => {
    const files = [
      ["walk.jpg", () => photos.jpeg(), "JPEG"],
      ["drawing.png", () => photos.transparentPng(), "PNG"],
      ["waving.gif", () => photos.animatedGif(), "GIF"],
    ] as const;
    const records = new Map<string, any>();
    before(async () => {
      assert.equal(uploads.containerName, "images-input");
      for (const [name, bytes] of files) {
        await put(name, await bytes(), { user: "mary" });
        records.set(name, await pipeline.client.result(name));
      }
      await pipeline.stack.cloud.settled();
    });

    it("starts an orchestration, which the durable status API shows as Completed", async () => {
      for (const [name] of files) {
        const [one, ...others] = await orchestrations(name);
        assert.deepEqual([one?.name, one?.runtimeStatus, one?.output, others], ["ProcessImage", "Completed", "completed", []], name);
      }
    });

    it("stores a row, which an ordinary client of SQL Server finds, newest first", async () => {
      const rows = await pipeline.rows(
        "SELECT FileName, FileSizeKB, Width, Height, Format, UploadedOn, UserId, Status FROM ImageMetadata WHERE UserId = 'mary' ORDER BY UploadedOn DESC",
      );
      assert.deepEqual(
        rows.map(({ FileName, Width, Height, Format, UserId, Status }) => ({ FileName, Width, Height, Format, UserId, Status })),
        [
          { FileName: "waving.gif", Width: 60, Height: 40, Format: "gif", UserId: "mary", Status: "completed" },
          { FileName: "drawing.png", Width: 300, Height: 200, Format: "png", UserId: "mary", Status: "completed" },
          { FileName: "walk.jpg", Width: 800, Height: 600, Format: "jpeg", UserId: "mary", Status: "completed" },
        ],
      );
      for (const row of rows) {
        const { size, uploadedAt } = records.get(row.FileName as string);
        assert.deepEqual([row.FileSizeKB, (row.UploadedOn as Date).toISOString()], [Math.ceil(size / 1024), uploadedAt]);
      }
    });

    it("keeps its tags in ImageTags, found by user and by image", async () => {
      const names = ({ tags }: { tags: { name: string }[] }) => tags.map(({ name }) => name).sort();
      const ofMary = await tagRows(odata`PartitionKey eq ${Buffer.from("mary").toString("base64url")}`);
      assert.deepEqual(ofMary.map(({ ImageKey }) => ImageKey).sort(), ["drawing.png", "walk.jpg", "waving.gif"]);
      for (const { ImageKey, Tags } of ofMary) {
        const tags = { tags: JSON.parse(Tags as string) };
        assert.ok(tags.tags.length > 0);
        assert.deepEqual(names(tags), names(records.get(ImageKey as string)));
      }
      for (const [name] of files) {
        const ofImage = await tagRows(odata`ImageKey eq ${name} and Tag ne ''`);
        assert.deepEqual([...new Set(ofImage.map(({ Tag }) => Tag))].sort(), names(records.get(name)), name);
      }
    });

    it("puts thumbnails into their own container", async () => {
      for (const [name] of files) {
        const { variants } = records.get(name);
        const stored = new Map<string, number | undefined>();
        const prefix = `thumbnails/${name}/`;
        for await (const blob of pipeline.container(pipeline.stack.outputs.thumbnails).listBlobsFlat({ prefix }))
          stored.set(blob.name, blob.properties.contentLength);
        assert.deepEqual([...stored].sort(), variants.map(({ key, size }: { key: string; size: number }) => [key, size]).sort(), name);
      }
    });

    it("tells topic and e-mail of the result, with its status", async () => {
      const refused = "broken.jpg";
      await put(refused, Buffer.from("no picture"));
      assert.equal((await pipeline.client.result(refused)).failure.code, "UNSUPPORTED_FORMAT");
      await pipeline.stack.cloud.settled();
      for (const [key, status] of [
        ["walk.jpg", "completed"],
        [refused, "failed"],
      ] as const) {
        const { mails, events } = announced(key);
        assert.deepEqual(
          events.map((event) => [event?.type, event?.status]),
          [[`ImagePipeline.Image${status === "completed" ? "Completed" : "Failed"}`, status]],
        );
        assert.deepEqual(
          mails.map(({ to, body }) => [to, JSON.parse(body as string).status]),
          [["ops@example.org", status]],
        );
      }
    });
  });

  it("takes a user delegation SAS that somebody with a data role has made with the SDK", async () => {
    const { account, url } = pipeline.access.containers.find(({ name }) => name === "images-input") as { account: string; url: string };
    const endpoint = new URL(`/${account}`, url).href;
    const credential = { getToken: async () => ({ token: pipeline.access.storageToken, expiresOnTimestamp: Date.now() + 3_600_000 }) };
    const [startsOn, expiresOn] = [new Date(Date.now() - 60_000), new Date(Date.now() + 600_000)];
    const service = new BlobServiceClient(endpoint.replace("http:", "https:"), credential);
    const key = await service.getUserDelegationKey(startsOn, expiresOn);
    const values = {
      containerName: "images-input",
      blobName: "signed.jpg",
      permissions: BlobSASPermissions.parse("c"),
      startsOn,
      expiresOn,
    };
    const sas = generateBlobSASQueryParameters(values, key, account).toString();
    await new BlockBlobClient(`${endpoint}/images-input/signed.jpg?${sas}`).uploadData(await photos.jpeg(120, 90));
    assert.equal((await pipeline.client.result("signed.jpg")).status, "completed");
    await assert.rejects(new BlockBlobClient(`${endpoint}/images-input/other.jpg?${sas}`).uploadData(Buffer.from("x")), {
      statusCode: 403,
    });
  });

  it("refuses who deploys at the data: a program does not come to work by rights that it has not declared", async () => {
    const token = await issueToken(pipeline.stack.cloud, { ...DEPLOYER, audience: "https://storage.azure.com" });
    const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
    const address = uploads.url.split("?")[0]?.replace("http:", "https:") as string;
    await assert.rejects(new ContainerClient(address, credential).getBlobClient("signed.jpg").download(), {
      statusCode: 403,
      code: "AuthorizationPermissionMismatch",
    });
  });

  it("forgets an image that is deleted in the container: row, tags and thumbnails", async () => {
    await put("short-lived.jpg", await photos.jpeg(320, 240, 7), { user: "paul" });
    assert.equal((await pipeline.client.result("short-lived.jpg")).status, "completed");
    await uploads.deleteBlob("short-lived.jpg");
    await pipeline.client.eventually(async () => (await pipeline.client.status("short-lived.jpg")).status === 404, "it is forgotten");
    await pipeline.stack.cloud.settled();
    assert.deepEqual(await tagRows(odata`ImageKey eq 'short-lived.jpg'`), []);
    const rest = pipeline.container(pipeline.stack.outputs.thumbnails).listBlobsFlat({ prefix: "thumbnails/short-lived.jpg/" });
    assert.equal((await rest.next()).done, true);
  });

  it("has the same effect once when an event comes twice", async () => {
    await put("doubled.jpg", await photos.jpeg(160, 100));
    const first = await pipeline.client.result("doubled.jpg");
    await pipeline.stack.cloud.settled();
    const event = published.find(
      ({ type, detail }) => type === "Microsoft.Storage.BlobCreated" && detail.data.url.endsWith("/doubled.jpg"),
    );
    assert.ok(event);
    const handled = () => executions("Starter", "Succeeded").length;
    const before = handled();
    pipeline.stack.cloud.publish(event);
    await pipeline.client.eventually(async () => handled() > before, "the second event is handled");
    await pipeline.stack.cloud.settled();
    assert.deepEqual((await pipeline.client.status("doubled.jpg")).body, first);
    assert.equal((await orchestrations("doubled.jpg")).length, 1);
    assert.equal(announced("doubled.jpg").mails.length, 1, "nobody is told twice");
  });

  it("ends what got lost and forgets old history by its timers, with the grants that it has", async () => {
    const { cloud, outputs } = pipeline.stack;
    const keys = cloud.services.find(({ name }) => name === "web")?.functions?.["azure-native:web:listWebAppHostKeys"] ?? assert.fail();
    const { masterKey } = await keys({ name: outputs.workflow }, cloud);
    const fire = async (name: string) => {
      const headers = { "x-functions-key": masterKey, "content-type": "application/json" };
      assert.equal((await fetch(`${outputs.url}/admin/functions/${name}`, { method: "POST", headers, body: "{}" })).status, 202);
      await pipeline.client.eventually(async () => executions(name, "Succeeded").length > 0, `${name} is done`);
    };
    await pipeline.rows(
      "UPDATE dbo.ImageMetadata SET Status = 'processing', StartedOn = '2026-01-01', UploadedOn = '2026-01-01' WHERE ImageKey = N'doubled.jpg'",
    );
    await fire("Sweep");
    assert.equal((await pipeline.client.status("doubled.jpg")).body.failure?.code, "INTERNAL");
    await fire("Purge");
    assert.equal((await orchestrations("doubled.jpg")).length, 1, "it is not old yet");
    assert.equal((await pipeline.client.call("POST", pipeline.client.image("doubled.jpg", "/redrive"))).status, 202);
    await pipeline.client.eventually(
      async () => (await pipeline.client.status("doubled.jpg")).body.status === "completed",
      "the redrive has mended it",
    );
  });

  describe("told of a blob's owner by a message of somebody else's frontend", () => {
    const tell = (key: string, userId: string) => {
      const blobUrl = uploads.getBlobClient(key).url.split("?")[0]?.replace("http:", "https:");
      return pipeline.queue("jobqueue").sendMessage(base64({ blobUrl, userId }));
    };
    const isWhole = async (key: string, user: string) => {
      const record = await pipeline.client.eventually(async () => {
        const { body } = await pipeline.client.status(key);
        return body.status === "completed" && body.user === user && body;
      }, `${key} is ${user}'s`);
      await pipeline.stack.cloud.settled();
      assert.deepEqual(
        (await rowsOf(key)).map(({ UserId, Status }) => [UserId, Status]),
        [[user, "completed"]],
      );
      const ofUser = await tagRows(odata`PartitionKey eq ${Buffer.from(user).toString("base64url")}`);
      assert.deepEqual(
        ofUser.map(({ ImageKey, Tags }) => [ImageKey, JSON.parse(Tags as string).length]),
        [[key, record.tags.length]],
      );
      assert.equal((await orchestrations(key)).length, 1, "it was processed once");
      assert.equal(announced(key).mails.length, 1, "nobody is told twice");
    };

    it("processes it when the message comes before Event Grid's event, and once", async () => {
      const before = executions("Starter", "Succeeded").length;
      const handled = () => executions("Starter", "Succeeded").length - before;
      eventsDelayed = 2_500;
      try {
        await put("told-first.jpg", await photos.jpeg(240, 180, 11));
        await tell("told-first.jpg", "zoe");
        assert.equal((await pipeline.client.result("told-first.jpg")).user, "zoe");
        assert.equal(handled(), 1, "its event is still to come");
      } finally {
        eventsDelayed = 0;
      }
      await pipeline.client.eventually(async () => handled() === 2, "its event has come, too");
      await isWhole("told-first.jpg", "zoe");
    });

    it("adds the owner when the message comes after the image was processed", async () => {
      await put("told-late.jpg", await photos.jpeg(240, 180, 12));
      assert.equal((await pipeline.client.result("told-late.jpg")).user, undefined);
      await tell("told-late.jpg", "yves");
      await isWhole("told-late.jpg", "yves");
    });
  });

  describe("given a ticket", () => {
    it("lets one blob be made by it, and nothing else", async () => {
      const bytes = await photos.jpeg(200, 100);
      const { body: ticket } = await pipeline.client.ticket("ticket.jpg", bytes.length);
      const made = await pipeline.client.redeem(ticket, bytes);
      assert.equal(made.status, 201);
      const { "if-none-match": _, ...headers } = ticket.headers;
      const tried: Record<string, Promise<Response>> = {
        "overwriting it": fetch(ticket.url, { method: "PUT", headers, body: new Uint8Array(bytes) }),
        "another name": pipeline.client.redeem(ticket, bytes, { url: ticket.url.replace("ticket.jpg", "other.jpg") }),
        "reading it": fetch(ticket.url),
        "deleting it": fetch(ticket.url, { method: "DELETE" }),
        "listing its container": fetch(`${ticket.url.replace(/\/uploads\/.*\?/, "?")}&restype=container&comp=list`),
      };
      for (const [what, response] of Object.entries(tried)) assert.equal((await response).status, 403, what);
      assert.equal((await pipeline.client.result(ticket.key)).status, "completed");
    });

    it("reads nothing of a file that has become larger than the limit", async () => {
      const bytes = await photos.jpeg(200, 100);
      const { body: ticket } = await pipeline.client.ticket("grown.jpg", bytes.length);
      const read = () => pipeline.stack.cloud.trace.entries("call").filter(({ detail }) => detail?.operation === "GetBlob").length;
      await pipeline.stack.cloud.settled();
      const before = read();
      assert.equal((await pipeline.client.redeem(ticket, Buffer.concat([bytes, Buffer.alloc(26_000_000)]))).status, 201);
      const { failure, size } = await pipeline.client.result(ticket.key);
      assert.deepEqual([failure.code, size], ["SIZE_LIMIT", bytes.length + 26_000_000]);
      assert.equal(read(), before);
    });
  });

  describe("given the same photos as the pipeline on AWS", () => {
    let aws: EmbeddedAws;
    before(async () => {
      aws = await startOnAws();
    });
    after(() => aws?.stack.stop());

    const given: Record<string, () => Promise<Uint8Array>> = {
      "photo.jpg": () => photos.jpeg(640, 480, 21),
      "turned.jpg": () => photos.turnedJpeg(),
      "transparent.png": () => photos.transparentPng(),
      "picture.webp": () => photos.webp(),
      "moving.gif": () => photos.animatedGif(),
      "bomb.png": () => photos.pixelBomb(),
      "phone.heic": async () => photos.heic(),
      "text.jpg": async () => Buffer.from("this is not a picture"),
      "cut.jpg": async () => (await photos.jpeg(640, 480, 22)).subarray(0, 20_000),
    };

    it("makes the same variants, byte by byte, and the same records but for times and how labels are spelt", async () => {
      type Outcome = Awaited<ReturnType<typeof outcome>>;
      const outcome = async ({ client }: Pick<EmbeddedAzure, "client">, name: string, bytes: Uint8Array) => {
        const { key, uploadedAt, processedAt, tags, ...rest } = await client.put(`same/${name}`, bytes, { user: "twin" });
        assert.ok(Date.parse(uploadedAt) <= Date.parse(processedAt));
        // Rekognition begins labels with a capital, AI Vision does not.
        const spelt = tags?.map((tag: { name: string }) => ({ ...tag, name: tag.name.toLowerCase() }));
        const record = { ...rest, ...(spelt && { tags: spelt }) };
        const { body } = await client.call("GET", client.image(key));
        const variants: Record<string, Buffer> = {};
        for (const [variant, url] of Object.entries<string>(body.urls?.variants ?? {}))
          variants[variant] = Buffer.from(await (await fetch(url)).arrayBuffer());
        return { key, record, variants };
      };
      const outcomes: { name: string; here: Outcome; there: Outcome }[] = [];
      // One after another: a new account on AWS runs ten functions at a time, and this machine has other things to do.
      for (const [name, make] of Object.entries(given)) {
        const bytes = await make();
        const [here, there] = await Promise.all([outcome(pipeline, name, bytes), outcome(aws, name, bytes)]);
        outcomes.push({ name, here, there });
      }
      for (const { name, here, there } of outcomes) {
        assert.deepEqual(here.record, there.record, name);
        assert.deepEqual(Object.keys(here.variants), here.record.status === "completed" ? ["small", "large"] : [], name);
        assert.deepEqual(here.variants, there.variants, name);
      }
      assert.deepEqual(
        outcomes.map(({ here: { record } }) => record.failure?.code ?? record.status),
        [
          "completed",
          "completed",
          "completed",
          "completed",
          "completed",
          "PIXEL_LIMIT",
          "UNSUPPORTED_CODEC",
          "UNSUPPORTED_FORMAT",
          "TRUNCATED",
        ],
      );
    });
  });

  /** Log lines of the host about how a function went. */
  const executions = (name: string, how: string) =>
    pipeline.stack.cloud.trace.entries("log").filter(({ text }) => text.includes(`Executed 'Functions.${name}' (${how}`));
});

interface Orchestration {
  name: string;
  runtimeStatus: string;
  output: unknown;
  input: { arrival: { key: string } };
}
