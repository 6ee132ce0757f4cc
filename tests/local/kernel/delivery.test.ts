import assert from "node:assert/strict";
import { jsonProtocol } from "../../../local/kernel/aws/protocols/json.js";
import type { Delivery } from "../../../local/kernel/cloud.js";
import { type Faults, NO_FAULTS, SeededFaults } from "../../../local/kernel/faults.js";
import { CloudError, type Principal, type Properties, type Service } from "../../../local/kernel/service.js";
import { type TestCloud, testCloud } from "../cloud.js";

/** A service that answers each call with the next of these: an error, or success when there is none. */
function target(...errors: (CloudError | undefined)[]): Service & { received: Properties[] } {
  const received: Properties[] = [];
  return {
    name: "target",
    received,
    api: {
      protocol: jsonProtocol({ signing: "target", target: "Target", version: "1.1" }),
      operations: {
        Take: {
          needs: () => [],
          async handle(input) {
            received.push(input);
            const error = errors.shift();
            if (error) throw error;
            return {};
          },
        },
      },
    },
  };
}

const as: Principal = { kind: "service", service: "events.amazonaws.com" };
const throttled = () => new CloudError("ThrottlingException", "Rate exceeded", 400);
const denied = () => new CloudError("AccessDeniedException", "no", 403);

describe("A delivery", () => {
  let test: TestCloud;
  afterEach(() => test?.stop());

  async function deliver(service: ReturnType<typeof target>, more: Partial<Delivery> = {}, faults: Faults = NO_FAULTS) {
    test = await testCloud([service], { faults });
    const gaveUp: { code: string; message: string; attempts: number }[] = [];
    test.cloud.deliver({
      id: "event-1",
      from: "arn:rule",
      call: { service: "target", operation: "Take", input: { n: 1 }, as },
      retry: { attempts: 3, maxAge: 60 },
      undeliverable: (error) => {
        gaveUp.push(error);
        return { service: "target", operation: "Take", input: { parked: true }, as };
      },
      ...more,
    });
    await test.cloud.settled();
    return { received: service.received, gaveUp };
  }

  it("happens once when all is well", async () => {
    assert.deepEqual(await deliver(target()), { received: [{ n: 1 }], gaveUp: [] });
  });

  it("is tried again while that can help", async () => {
    const { received, gaveUp } = await deliver(target(throttled(), throttled()));
    assert.equal(received.length, 3);
    assert.deepEqual(gaveUp, []);
  });

  it("is not tried again when that cannot help, but parked", async () => {
    const { received, gaveUp } = await deliver(target(denied()));
    assert.deepEqual(received, [{ n: 1 }, { parked: true }]);
    assert.deepEqual(gaveUp, [{ code: "AccessDeniedException", message: "no", attempts: 1 }]);
  });

  it("is parked after its retries", async () => {
    const { received, gaveUp } = await deliver(target(throttled(), throttled(), throttled()), { retry: { attempts: 2, maxAge: 60 } });
    assert.equal(received.length, 4);
    assert.equal(gaveUp[0]?.attempts, 3);
  });

  it("is parked when its event is too old", async () => {
    const { gaveUp } = await deliver(target(throttled()), { retry: { attempts: 100, maxAge: 0 } });
    assert.equal(gaveUp[0]?.attempts, 1);
  });

  it("survives that it cannot even be parked, and says so", async () => {
    await deliver(target(denied(), denied()));
    assert(test.cloud.trace.entries("delivery").some(({ text }) => text.includes("could not be parked either: AccessDeniedException")));
  });

  it("may come twice", async () => {
    const { received } = await deliver(
      target(),
      {},
      { ...NO_FAULTS, delivery: () => ({ delay: 0, duplicate: true, lostAcknowledgement: false }) },
    );
    assert.deepEqual(received, [{ n: 1 }, { n: 1 }]);
  });

  it("comes again when its acknowledgement got lost", async () => {
    let losses = 1;
    const { received, gaveUp } = await deliver(
      target(),
      {},
      { ...NO_FAULTS, delivery: () => ({ delay: 0, duplicate: false, lostAcknowledgement: losses-- > 0 }) },
    );
    assert.equal(received.length, 2);
    assert.deepEqual(gaveUp, []);
    assert.equal(test.cloud.trace.entries("fault").length, 1);
  });

  it("may be overtaken", async () => {
    const service = target();
    const delays = [30, 0];
    test = await testCloud([service], {
      faults: { ...NO_FAULTS, delivery: () => ({ delay: delays.shift()!, duplicate: false, lostAcknowledgement: false }) },
    });
    for (const n of [1, 2]) {
      test.cloud.deliver({
        id: `event-${n}`,
        from: "arn:rule",
        call: { service: "target", operation: "Take", input: { n }, as },
        retry: { attempts: 0, maxAge: 60 },
      });
    }
    await test.cloud.settled();
    assert.deepEqual(service.received, [{ n: 2 }, { n: 1 }]);
  });

  it("ends with the cloud", async () => {
    const service = target(...Array.from({ length: 100 }, throttled));
    test = await testCloud([service], { backoff: { base: 60_000, cap: 60_000 } });
    test.cloud.deliver({
      id: "event-1",
      from: "arn:rule",
      call: { service: "target", operation: "Take", input: {}, as },
      retry: { attempts: 9, maxAge: 600 },
    });
    await test.cloud.stop();
    await test.cloud.settled();
    assert(service.received.length <= 1);
  });
});

describe("Seeded faults", () => {
  const draw = (seed: number) => {
    const faults = new SeededFaults(seed);
    return Array.from({ length: 200 }, () => [faults.delivery(), faults.call({ service: "sqs" })?.code]);
  };

  it("are the same for the same seed, and others for another", () => {
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
  });

  it("are of every kind, and not always", () => {
    const drawn = draw(7);
    const fates = drawn.map(([fate]) => fate as ReturnType<SeededFaults["delivery"]>);
    for (const kind of ["duplicate", "lostAcknowledgement", "delay"] as const) {
      assert(fates.some((fate) => fate[kind]) && fates.some((fate) => !fate[kind]), kind);
    }
    const errors = Array.from({ length: 20 }, (_, seed) => draw(seed))
      .flat()
      .map(([, code]) => code);
    assert(errors.includes("ThrottlingException") && errors.includes("InternalFailure") && errors.includes(undefined));
  });

  it("can be had one kind at a time", () => {
    const faults = new SeededFaults(1, { throttled: 0, failed: 0, delayed: 0, duplicated: 1, acknowledgementLost: 0 });
    assert.deepEqual(faults.delivery(), { delay: 0, duplicate: true, lostAcknowledgement: false });
    assert.equal(faults.call({ service: "sqs" }), undefined);
  });
});
