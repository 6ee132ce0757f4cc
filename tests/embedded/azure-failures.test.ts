import assert from "node:assert/strict";
import { ROLE_ASSIGNMENT } from "../../local/kernel/azure/authority.js";
import type { Resource } from "../../local/kernel/service.js";
import * as photos from "../photos.js";
import { type EmbeddedAzure, startPipeline } from "./azure-stack.js";

describe("What the Azure pipeline cannot do", function () {
  this.timeout(120_000);
  let pipeline: EmbeddedAzure;
  let user: string;
  before(async () => {
    // What is tried for minutes, is tried for seconds.
    process.env.EMBEDDED_CLOUD_PACE = "0.05";
    pipeline = await startPipeline({ auth: "none" });
    const [identity] = pipeline.stack.cloud.resources.all("azure-native:managedidentity:UserAssignedIdentity");
    user = `[${identity?.outputs.name}]`;
    // First, since each is tried for some time.
    const queue = pipeline.queue("jobqueue");
    for (const { message } of unreadable()) await queue.sendMessage(message);
    for (const text of NOT_ENCODED) await queue.sendMessage(text);
  });
  after(async () => {
    delete process.env.EMBEDDED_CLOUD_PACE;
    await pipeline?.stop();
  });

  const put = async (name: string, bytes?: Uint8Array) => {
    await pipeline
      .container("images-input")
      .getBlockBlobClient(name)
      .uploadData(bytes ?? (await photos.jpeg(240, 180)));
  };

  /** Takes role assignments away, as somebody does in the portal, until `work` is done. */
  const without = async (names: string[], work: () => Promise<void>) => {
    const { resources } = pipeline.stack.cloud;
    const taken = resources.all(ROLE_ASSIGNMENT).filter(({ name }) => names.some((each) => name === `photos-may-${each}`));
    assert.equal(taken.length, names.length, names.join());
    for (const each of taken as Resource[]) resources.remove(each);
    try {
      await work();
    } finally {
      for (const each of taken) resources.add(each);
    }
  };

  /** What a person finds in the queue of what was parked. */
  const letter = (key: string) =>
    pipeline.client.eventually(async () => {
      const { peekedMessageItems } = await pipeline.queue("parked").peekMessages({ numberOfMessages: 32 });
      const letters = peekedMessageItems.map(({ messageText }) => JSON.parse(Buffer.from(messageText, "base64").toString()));
      return letters.find((each) => each.key === key) as Letter | undefined;
    }, `${key} is parked`);

  const logged = (pattern: RegExp) =>
    pipeline.client.eventually(
      async () => pipeline.stack.cloud.trace.entries("log").find(({ text }) => pattern.test(text)),
      `the log says ${pattern}`,
    );

  const base64 = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");

  /** Messages that nobody can work with, and what is said of each. */
  const unreadable = (): { what: string; message: string; said: RegExp }[] => {
    const url = pipeline.container("images-input").url.split("?")[0]?.replace("http:", "https:") as string;
    const from = (what: string, blobUrl: string, said: RegExp) => ({ what, message: base64({ blobUrl, userId: "eve" }), said });
    return [
      { what: "not JSON", message: base64("hello"), said: /is not an event[\s\S]*"hello"/ },
      { what: "no URL", message: base64({ userId: "eve" }), said: /is not an event[\s\S]*"userId":"eve"/ },
      { what: "no owner", message: base64({ blobUrl: `${url}/foreign.jpg` }), said: /is not a message about a blob[\s\S]*userId/ },
      from("another account", "https://elsewhere.blob.core.windows.net/images-input/foreign.jpg", /elsewhere/),
      from("another container", `${url.replace("images-input", "packages")}/foreign.jpg`, /packages/),
      from("dots", `${url}/a/../escaped.jpg`, /a\/\.\.\/escaped\.jpg/),
      from("encoded dots", `${url}/a/%2e%2e/escaped.jpg`, /%2e%2e/),
      { what: "64 KB of junk", message: Buffer.alloc(49_152, "junk ").toString("base64"), said: /junk junk/ },
      { what: "64 KB of bytes", message: Buffer.alloc(49_152, 0xfe).toString("base64"), said: /254,254/ },
    ];
  };

  describe("because an identity lacks a grant", () => {
    it("in the database cannot log in (18456): the work is parked", async () => {
      await pipeline.rows(`DROP USER ${user}`);
      await put("login.jpg");
      const { error } = await letter("login.jpg");
      assert.match(`${error.code} ${error.message}`, /Login failed for user [\s\S]*18456[\s\S]*no user in the database imagemetadata/);
    });

    it("on the table of records is denied by name (229): the work is parked", async () => {
      await pipeline.rows(`CREATE USER ${user} FROM EXTERNAL PROVIDER`);
      await put("denied.jpg");
      const { error } = await letter("denied.jpg");
      assert.match(
        `${error.code} ${error.message}`,
        /229[\s\S]*The SELECT permission was denied on the object 'ImageMetadata', database 'imagemetadata', schema 'dbo'/,
      );
      await pipeline.rows(`GRANT SELECT, INSERT, UPDATE, DELETE ON dbo.ImageMetadata TO ${user}`);
    });

    for (const [grant, key, bytes, wanted] of [
      [
        "thumbnails",
        "blobs.jpg",
        undefined,
        [/blobServices\/containers\/blobs\/write/, /containers\/thumbnails/, /"Storage Blob Data Contributor"/],
      ],
      [
        "announce",
        "topic.jpg",
        Buffer.from("no picture"),
        [/Microsoft\.EventGrid\/events\/send\/action/, /topics\/photos-results/, /"EventGrid Data Sender"/],
      ],
    ] as const) {
      it(`called ${grant} is refused with 403: the work is parked, and listed among the failures`, async () => {
        await without([grant], async () => {
          await put(key, bytes);
          await letter(key);
        });
        const { body } = await pipeline.client.call("GET", "/failures");
        const { error } = body.deadLetters.find((each: Letter) => each.key === key);
        assert.match(`${error.code} ${error.message}`, /AuthorizationPermissionMismatch/);
        assert.match(error.message, /"photos-identity\w+" \([-\w]+\) is not granted/);
        for (const pattern of wanted) assert.match(error.message, pattern);
      });
    }

    it("on queues reads none, and the log says which role is missing; what waits goes on once it is there", async () => {
      await without(["host-queues"], async () => {
        await put("queues.jpg");
        const { text } = await logged(/The queue 'jobqueue' cannot be read/);
        assert.match(text, /is not granted Microsoft\.Storage\/storageAccounts\/queueServices\/queues\/messages\/process\/action/);
        assert.match(text, /by the role "Storage Queue Data Message Processor"/);
      });
      assert.equal((await pipeline.client.result("queues.jpg")).status, "completed");
    });

    it("on the tables of the host starts nothing, and the log says which role is missing", async () => {
      await without(["host-tables"], async () => {
        await put("tables.jpg");
        const { text } = await logged(/Functions\.Starter' \(Failed[\s\S]*is not granted/);
        assert.match(
          text,
          /photos-identity\w+\W+\([-\w]+\) is not granted Microsoft\.Storage\/storageAccounts\/tableServices\/tables\/entities\/read/,
        );
        assert.match(text, /by the role \W+Storage Table Data Reader/);
      });
    });

    it("once mended, does what was parked when it is redriven, and what waited by itself", async () => {
      for (const key of ["login.jpg", "denied.jpg", "blobs.jpg", "topic.jpg"]) {
        await pipeline.client.eventually(
          async () => (await pipeline.client.call("POST", pipeline.client.image(key, "/redrive"))).status === 202,
          `${key} is redriven`,
        );
      }
      for (const key of ["tables.jpg", "login.jpg", "denied.jpg", "blobs.jpg"]) {
        await pipeline.client.eventually(
          async () => (await pipeline.client.status(key)).body.status === "completed",
          `${key} is completed`,
        );
      }
      await pipeline.stack.cloud.settled();
      assert.equal((await pipeline.client.status("topic.jpg")).body.failure.code, "UNSUPPORTED_FORMAT");
      const { body } = await pipeline.client.call("GET", "/failures");
      assert.deepEqual(
        (body.deadLetters as Letter[]).filter(({ key }) => key !== ""),
        [],
      );
      const counted = await pipeline.rows("SELECT ImageKey, COUNT(*) AS Rows FROM ImageMetadata GROUP BY ImageKey HAVING COUNT(*) > 1");
      assert.deepEqual(counted, []);
    });
  });

  describe("because a message says nothing that it can work with", () => {
    it("is parked with what is wrong with it, after five attempts", async () => {
      const wanted = unreadable();
      const letters = await pipeline.client.eventually(async () => {
        const { body } = await pipeline.client.call("GET", "/failures");
        const found = (body.deadLetters as Letter[]).filter(({ error }) => error.code === "UNREADABLE");
        return found.length === wanted.length && found;
      }, "they are parked");
      for (const { what, said } of wanted) assert.equal(letters.filter(({ error }) => said.test(error.message)).length, 1, what);
      await pipeline.stack.cloud.settled();
      const attempts = pipeline.stack.cloud.trace
        .entries("log")
        .filter(({ text }) => /Executed 'Functions\.Starter' \(Failed[\s\S]*UnreadableMessage/.test(text));
      assert.equal(attempts.length, wanted.length * 5);
      assert.equal((await pipeline.queue("jobqueue").getProperties()).approximateMessagesCount, 0, "none comes again");
    });

    it("lies in the poison queue where it is not even in base64", async () => {
      assert.equal((await pipeline.queue("jobqueue-poison").getProperties()).approximateMessagesCount, NOT_ENCODED.length);
    });

    it("makes no record", async () => {
      const made = "ImageKey LIKE '%escaped%' OR ImageKey LIKE '%foreign%' OR Status = 'processing'";
      assert.deepEqual(await pipeline.rows(`SELECT ImageKey FROM ImageMetadata WHERE ${made}`), []);
    });
  });
});

const NOT_ENCODED = ["hello, is anybody there?", "{}", "junk! ".repeat(10_000)];

interface Letter {
  key: string;
  error: { code: string; message: string };
}
