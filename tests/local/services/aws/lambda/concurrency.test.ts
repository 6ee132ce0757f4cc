import assert from "node:assert/strict";
import { Concurrency } from "../../../../../local/services/aws/lambda/concurrency.js";

describe("Concurrency", () => {
  const throttled = { code: "TooManyRequestsException", status: 429 };

  it("gives every slot once, and again after it was given back, however often that is", () => {
    const concurrency = new Concurrency(2);
    const [first] = [concurrency.acquire("a"), concurrency.acquire("b")];
    assert.throws(() => concurrency.acquire("a"), throttled);
    first?.();
    first?.();
    concurrency.acquire("b");
    assert.throws(() => concurrency.acquire("a"), throttled);
  });

  it("keeps reserved slots apart from the others, both ways", () => {
    const concurrency = new Concurrency(103);
    concurrency.reserve("own", 3);
    for (let i = 0; i < 3; i++) concurrency.acquire("own");
    assert.throws(() => concurrency.acquire("own"), throttled);
    for (let i = 0; i < 100; i++) concurrency.acquire("other");
    assert.throws(() => concurrency.acquire("other"), throttled);
  });

  it("leaves the others at least 100, or all that there is", () => {
    const concurrency = new Concurrency(110);
    concurrency.reserve("a", 6);
    assert.throws(() => concurrency.reserve("b", 5), { code: "InvalidParameterValueException" });
    concurrency.reserve("a", 10);
    concurrency.reserve("a", undefined);
    concurrency.reserve("b", 10);
    assert.throws(() => new Concurrency(10).reserve("a", 1), { message: /minimum value of \[10\]/ });
  });

  it("lets those who wait in when a slot is free, and refuses who can never have one", async () => {
    const concurrency = new Concurrency(101);
    concurrency.reserve("one", 1);
    const release = concurrency.acquire("one");
    const waiting = concurrency.take("one");
    release();
    (await waiting)();
    concurrency.reserve("one", 0);
    await assert.rejects(concurrency.take("one"), throttled);
  });
});
