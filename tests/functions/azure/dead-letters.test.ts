import assert from "node:assert/strict";
import type { QueueClient } from "@azure/storage-queue";
import { jobOf } from "../../../functions/azure/arrival.js";
import { QueueDeadLetters } from "../../../functions/azure/dead-letters.js";
import { decoded } from "../../../functions/azure/queue-message.js";
import { QueueWorkflow } from "../../../functions/azure/workflow.js";
import { deadLettersContract } from "../contract/dead-letters.js";
import { type TestStorage, testStorage } from "./storage.js";

describe("Queues", function () {
  this.timeout(30_000);
  let storage: TestStorage;
  let queue: QueueClient;
  let count = 0;

  before(async () => {
    storage = await testStorage();
  });
  after(() => storage.stop());
  beforeEach(async () => {
    queue = await storage.queue(`parked-${++count}`);
  });

  describe("of dead letters", () => {
    let letters: QueueDeadLetters;
    beforeEach(() => {
      letters = new QueueDeadLetters(queue);
    });

    deadLettersContract(() => letters);

    const letter = { key: "cat.png", event: {}, error: { code: "X", message: "" }, at: "2026-11-21T12:00:00.000Z" };

    it("keep them for good", async () => {
      await letters.park(letter);
      const { receivedMessageItems } = await queue.receiveMessages();
      assert.ok((receivedMessageItems[0]?.expiresOn.getUTCFullYear() ?? 0) > 9_000);
    });

    it("take what is larger than a message, without what can best be done without", async () => {
      await letters.park({ ...letter, error: { code: "X", message: "m".repeat(60_000) } });
      await letters.park({ ...letter, event: "e".repeat(65_536) });
      const [first, second] = await letters.take("cat.png");
      assert.deepEqual([first?.event, first?.error.message.length], [{}, 8_000]);
      assert.equal(String(second?.event).length, 8_000);
    });

    it("show what nobody can read", async () => {
      await queue.sendMessage("\u00e4\u00e4 no base64");
      await queue.sendMessage(Buffer.from('{"key":5}').toString("base64"));
      const found = await letters.list(10);
      assert.deepEqual(
        found.map(({ key, error }) => [key, error.code]),
        [
          ["", "UNREADABLE"],
          ["", "UNREADABLE"],
        ],
      );
    });

    describe("walked through by a reader", () => {
      const named = (key: string) => ({ ...letter, key });
      /** How many of each a reader receives and puts back, and how many are out of sight at a time. */
      const watched = () => {
        const counts = { receives: 0, out: 0, most: 0, texts: 0 };
        const { receiveMessages, updateMessage } = queue;
        queue.receiveMessages = async (options) => {
          const answer = await receiveMessages.call(queue, options);
          counts.receives++;
          counts.out += answer.receivedMessageItems.length;
          counts.most = Math.max(counts.most, counts.out);
          return answer;
        };
        queue.updateMessage = async (id, receipt, text, seconds) => {
          counts.out--;
          if (text !== undefined) counts.texts++;
          return updateMessage.call(queue, id, receipt, text, seconds);
        };
        return counts;
      };

      it("are out of others' sight a batch at a time, and the walk ends once all have been seen", async () => {
        for (let n = 0; n < 70; n++) await letters.park(named(n % 20 === 0 ? "wanted.png" : `${n}.png`));
        const counts = watched();
        assert.equal((await letters.take("wanted.png")).length, 4);
        assert.deepEqual([counts.receives, counts.texts, counts.most <= 32 + 4], [3, 0, true], JSON.stringify(counts));
        const left: string[] = [];
        for (const { key } of await letters.list(32)) left.push(key);
        assert.equal(left.length, 32, "the others are there at once");
        assert.equal((await queue.getProperties()).approximateMessagesCount, 66);
      });

      it("are all found, and all put back, also where what is put back comes first, and the count is too large", async () => {
        const texts = Array.from({ length: 100 }, (_, n) => Buffer.from(JSON.stringify(named(n === 99 ? "last.png" : `${n}.png`))));
        const lying = texts.map((text, n) => ({
          messageId: String(n),
          popReceipt: "",
          messageText: text.toString("base64"),
          hidden: false,
        }));
        const one = (id: string) => lying.find(({ messageId }) => messageId === id) ?? assert.fail(id);
        const frontFirst = {
          getProperties: async () => ({ approximateMessagesCount: 1_000 }),
          receiveMessages: async ({ numberOfMessages = 1 }) => {
            const receivedMessageItems = lying.filter(({ hidden }) => !hidden).slice(0, numberOfMessages);
            for (const message of receivedMessageItems) message.hidden = true;
            return { receivedMessageItems };
          },
          updateMessage: async (id: string) => void Object.assign(one(id), { hidden: false }),
          deleteMessage: async (id: string) => void lying.splice(lying.indexOf(one(id)), 1),
        };
        const found = await new QueueDeadLetters(frontFirst as unknown as QueueClient).take("last.png");
        assert.deepEqual([found.length, lying.length, lying.filter(({ hidden }) => hidden)], [1, 99, []]);
      });
    });

    it("lose none to a reader that dies between", async () => {
      await letters.park(letter);
      const deleteMessage = queue.deleteMessage.bind(queue);
      queue.deleteMessage = () => Promise.reject(new Error("gone"));
      await assert.rejects(letters.take("cat.png"), /gone/);
      queue.deleteMessage = deleteMessage;
      assert.equal((await letters.list(9)).length, 1, "it is back at once");
    });
  });

  describe("of jobs", () => {
    const place = { account: "https://photos.blob.core.windows.net/", container: "images-input" };
    const OBJECT = {
      key: "uploads/cat ä%20#.png",
      size: 5,
      etag: "0x2",
      contentType: "image/png",
      modifiedAt: "2026-11-21T12:00:00.000Z",
    };
    const event = (eTag: string, eventType = "Microsoft.Storage.BlobCreated", name = "uploads/cat%20%C3%A4%2520%23.png") => ({
      eventType,
      eventTime: "2026-11-20T12:00:00Z",
      data: { url: `${place.account}images-input/${name}`, eTag, sequencer: "0055" },
    });
    const redriven = async (...parked: unknown[]) => {
      await new QueueWorkflow(queue, place).redrive(OBJECT, parked);
      const { receivedMessageItems } = await queue.receiveMessages();
      const [message] = receivedMessageItems;
      if (!message) assert.fail("no message");
      await queue.deleteMessage(message.messageId, message.popReceipt);
      return decoded(message.messageText) as ReturnType<typeof event> & { redrive: boolean; redriveId: string; user?: string };
    };

    it("get a redrive with the parked event as it was", async () => {
      const { redrive, redriveId, ...rest } = await redriven(event("0x2"));
      assert.deepEqual([redrive, rest], [true, event("0x2")]);
      assert.notEqual((await redriven(event("0x2"))).redriveId, redriveId);
    });

    it("get a redrive with the user whom a parked message names, beside an event or without, however its URL is written", async () => {
      const owner = (name: string) => ({ blobUrl: `${place.account}images-input/${name}`, userId: "ann" });
      const encoded = owner("uploads/cat%20%C3%A4%2520%23.png");
      for (const parked of [[encoded], [event("0x2"), encoded], [encoded, event("0x2")], [owner("uploads/cat ä%20#.png")]]) {
        const message = await redriven(...parked);
        const job = jobOf(message, place);
        assert.deepEqual(
          job.kind === "created" && [job.arrival.key, job.arrival.etag, job.arrival.user],
          [OBJECT.key, "0x2", "ann"],
          JSON.stringify(parked),
        );
        assert.equal((await redriven(message)).user, "ann", "also when it has to be redriven again");
      }
      assert.equal((await redriven(owner("uploads/dog.png"))).user, undefined);
    });

    it("tell a deletion, and when in the order of events it came, from what else is parked", () => {
      const workflow = new QueueWorkflow(queue, place);
      const parked = [event("0x2", "Microsoft.Storage.BlobDeleted"), event("0x2"), { blobUrl: "x", userId: "ann" }, null];
      assert.deepEqual(
        parked.map((each) => workflow.deletionIn(each)),
        ["0055", undefined, undefined, undefined],
      );
    });

    it("get an event made of the object where the parked one is lost, of another version, of another object or of a deletion", async () => {
      const others = [event("0x1"), event("0x2", "Microsoft.Storage.BlobDeleted"), event("0x2", undefined, "uploads/dog.png")];
      for (const parked of [undefined, null, "text", {}, ...others]) {
        const { redrive, eventTime, data } = await redriven(parked);
        const url = `${place.account}images-input/uploads/cat%20%C3%A4%2520%23.png`;
        assert.deepEqual([redrive, eventTime, data.url, data.eTag], [true, OBJECT.modifiedAt, url, "0x2"], JSON.stringify(parked));
        assert.equal(data.sequencer, undefined);
      }
    });
  });
});
