import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import type { QueueClient } from "@azure/storage-queue";
import { encoded } from "../../../functions/azure/queue-message.js";
import { Delivery } from "../../../functions/container/delivery.js";
import { Receiver } from "../../../functions/container/receiver.js";
import { type TestAzurite, testAzurite } from "./azurite.js";

describe("Messages of the queue", () => {
  let azurite: TestAzurite;
  let queue: QueueClient;
  let queues = 0;

  before(async () => {
    azurite = await testAzurite();
  });
  after(() => azurite.stop());

  beforeEach(async () => {
    queue = azurite.queues.getQueueClient(`jobs${++queues}`);
    await queue.create();
  });

  const send = (...messages: unknown[]) => Promise.all(messages.map((message) => queue.sendMessage(encoded(message))));
  const received = async (visibility: number) => {
    const { receivedMessageItems } = await queue.receiveMessages({ visibilityTimeout: visibility });
    return receivedMessageItems[0];
  };
  const take = async (visibility: number) => new Delivery(queue, (await received(visibility)) ?? assert.fail(), visibility, Date.now());
  const left = async () => (await queue.getProperties()).approximateMessagesCount;

  it("are out of others' sight for as long as they are worked on, and gone when that is done", async () => {
    await send({ hello: "ä" });
    const delivery = await take(1);
    assert.deepEqual([delivery.message, delivery.attempt], [{ hello: "ä" }, 1]);
    // Thrice as long as the first reception alone would have hidden it.
    for (const end = Date.now() + 3_000; Date.now() < end; await pause(200)) assert.equal(await received(1), undefined);
    assert.ok(delivery.held);
    assert.equal(await delivery.complete(), true);
    assert.equal(await left(), 0);
    assert.ok(!delivery.held);
  });

  it("that nobody renews are another's then: they are not deleted, and it is known", async () => {
    await send("one");
    const delivery = await take(1);
    delivery.abandon();
    const other = await until(() => received(30));
    assert.equal(other.dequeueCount, 2);
    assert.ok(!delivery.held);
    assert.equal(await delivery.complete(), false);
    assert.equal(await left(), 1);
  });

  it("that somebody else has are lost with the next renewal, whatever the clock says", async () => {
    await send("one");
    const item = (await received(1)) ?? assert.fail();
    const other = await until(() => received(30));
    const since = Date.now();
    const delivery = new Delivery(queue, item, 9, since);
    assert.ok(delivery.held);
    await until(async () => (delivery.held ? undefined : true));
    assert.ok(Date.now() - since < 8_000);
    assert.equal(await delivery.complete(), false);
    await queue.deleteMessage(other.messageId, other.popReceipt);
  });

  it("that are given back are there at once, or when it is said, with one attempt more", async () => {
    await send("one");
    const delivery = await take(60);
    assert.equal(await delivery.release(0), true);
    const again = await take(60);
    assert.equal(again.attempt, 2);
    assert.equal(await again.release(2), true);
    assert.equal(await received(1), undefined);
    assert.equal((await until(() => received(30))).dequeueCount, 3);
  });

  it("are renewed again when a renewal has failed for a moment", async () => {
    await send("one");
    const item = (await received(3)) ?? assert.fail();
    let calls = 0;
    const shaky = {
      updateMessage: (...args: Parameters<QueueClient["updateMessage"]>) =>
        calls++ === 0 ? Promise.reject(new Error("The network is gone.")) : queue.updateMessage(...args),
      deleteMessage: queue.deleteMessage.bind(queue),
    };
    const delivery = new Delivery(shaky, item, 3, Date.now());
    await pause(3_500);
    assert.ok(delivery.held);
    assert.ok(await delivery.complete());
  });

  it("are renewed again when the queue has not answered at all", async () => {
    await send("one");
    const item = (await received(3)) ?? assert.fail();
    let calls = 0;
    const silent = {
      updateMessage: (...args: Parameters<QueueClient["updateMessage"]>) =>
        calls++ > 0
          ? queue.updateMessage(...args)
          : new Promise<never>((_, reject) => args[4]?.abortSignal?.addEventListener("abort", () => reject(new Error("aborted")))),
      deleteMessage: queue.deleteMessage.bind(queue),
    };
    const delivery = new Delivery(silent, item, 3, Date.now());
    await until(async () => (calls > 1 ? true : undefined));
    assert.equal(await delivery.complete(), true);
  });

  describe("are received", () => {
    const receive = (handle: (delivery: Delivery) => Promise<void>, { concurrency = 3, visibility = 30, deadline = 300 } = {}) => {
      const receiver = new Receiver({ queue, concurrency, visibility, deadline, handle });
      receiver.start();
      return receiver;
    };

    it("as many at a time as there is room for, and all of them", async () => {
      await send(...Array.from({ length: 10 }, (_, n) => n));
      const seen: unknown[] = [];
      let most = 0;
      const receiver = receive(async (delivery) => {
        most = Math.max(most, receiver.inFlight + 1);
        await pause(20);
        await delivery.complete();
        seen.push(delivery.message);
      });
      await until(async () => (seen.length === 10 ? true : undefined));
      await receiver.stop(1_000);
      assert.deepEqual(
        seen.map(Number).sort((a, b) => a - b),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
      assert.ok(most <= 3, `${most}`);
    });

    it("no more once it is to stop; what is under way may end", async () => {
      await send(1, 2);
      const work = new EventEmitter();
      let ended = 0;
      const receiver = receive(
        async (delivery) => {
          work.emit("begun");
          await once(work, "end");
          await delivery.complete();
          ended++;
        },
        { concurrency: 1 },
      );
      await once(work, "begun");
      const stopped = receiver.stop(10_000);
      work.emit("end");
      await stopped;
      assert.deepEqual([ended, await left()], [1, 1]);
    });

    it("and given back at once when they take longer than the process has left", async () => {
      await send(1);
      const work = new EventEmitter();
      const receiver = receive(async () => {
        work.emit("begun");
        await new Promise(() => {});
      });
      await once(work, "begun");
      await receiver.stop(50);
      assert.equal((await received(1))?.dequeueCount, 2);
    });

    it("and given back when one takes too long, which is known until it ends, and does not keep the others", async () => {
      await send("hangs", "goes on");
      const work = new EventEmitter();
      const held: boolean[] = [];
      const receiver = receive(
        async (delivery) => {
          if (delivery.message === "hangs") await once(work, "end");
          held.push(await delivery.complete());
        },
        { concurrency: 2, visibility: 3, deadline: 0.5 },
      );
      await until(async () => (receiver.overdue === 1 ? true : undefined));
      assert.deepEqual(held, [true]);
      // Longer than it was received for: nobody renews it any more, and nobody has it back at once.
      for (const end = Date.now() + 4_000; Date.now() < end; await pause(200)) assert.equal(await received(1), undefined);
      work.emit("end");
      await until(async () => (receiver.overdue === 0 ? true : undefined));
      assert.deepEqual([held, await left()], [[true, false], 1]);
      await receiver.stop(1_000);
    });

    it("and one that hangs does not keep the process from ending", async () => {
      await send(1);
      const receiver = receive(() => new Promise(() => {}), { deadline: 0.1 });
      await until(async () => (receiver.overdue === 1 ? true : undefined));
      const since = Date.now();
      await receiver.stop(60_000);
      assert.ok(Date.now() - since < 5_000);
    });

    it("again when the work on them failed", async () => {
      await send(1);
      const attempts: number[] = [];
      const receiver = receive(
        async (delivery) => {
          attempts.push(delivery.attempt);
          if (delivery.attempt === 1) throw new Error("Something nobody foresaw.");
          await delivery.complete();
        },
        { visibility: 1 },
      );
      await until(async () => (attempts.length === 2 ? true : undefined));
      await receiver.stop(1_000);
      assert.deepEqual([attempts, await left()], [[1, 2], 0]);
    });
  });
});

async function until<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (const end = Date.now() + 10_000; Date.now() < end; await pause(50)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  return assert.fail("It has not come.");
}
