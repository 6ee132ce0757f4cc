import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { activities } from "../../../functions/azure/activities.js";
import { MailNotifier, TopicNotifier } from "../../../functions/azure/notifier.js";
import { outcome, telling, troubleOf } from "../../../functions/azure/outcomes.js";
import { mails, type Ports } from "../../../functions/azure/ports.js";
import { type Call, caller, ServiceError } from "../../../functions/azure/rest.js";
import { vision } from "../../../functions/azure/vision.js";
import { ImageRefused } from "../../../functions/core/failures.js";
import { ObjectChanged, type TaggerInput } from "../../../functions/core/ports.js";

describe("Services without an SDK", () => {
  let server: Server;
  let url: string;
  let asked: { request: IncomingMessage; body: string }[];
  let answer: { status: number; body: string; headers?: Record<string, string> };
  /** What comes before `answer`. */
  let first: (typeof answer)[];
  let call: Call;

  const credential = {
    getToken: async (scope: string | string[]) => ({ token: `token for ${scope}`, expiresOnTimestamp: Date.now() + 60_000 }),
  };

  before(async () => {
    server = createServer(async (request, response) => {
      asked.push({ request, body: await text(request) });
      const { status, headers, body } = first.shift() ?? answer;
      response.writeHead(status, headers).end(body);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  beforeEach(() => {
    asked = [];
    answer = { status: 200, body: "" };
    first = [];
    call = caller(credential, "https://service.example/.default");
  });

  const record = { key: "cat.png", user: "ann", status: "completed" as const, uploadedAt: "2026-11-21T12:00:00.000Z", tags: [] };
  const notification = { status: "completed" as const, subject: "Image processed", message: JSON.stringify(record) };

  it("are called as the app itself", async () => {
    await call(url, { method: "GET" });
    assert.equal(asked[0]?.request.headers.authorization, "Bearer token for https://service.example/.default");
  });

  it("say by code and words what they refuse", async () => {
    answer = {
      status: 401,
      body: JSON.stringify({ error: { code: "Unauthorized", message: "The role EventGrid Data Sender is missing." } }),
    };
    await assert.rejects(call(url, { method: "GET" }), { name: "Unauthorized", status: 401, message: /EventGrid Data Sender is missing/ });
    answer = { status: 502, body: "<html>" };
    await assert.rejects(call(url, { method: "GET" }), { name: "HTTP502", message: /<html>/ });
  });

  describe("that have too much to do", () => {
    const busy = (wait: string | undefined, status = 429) => ({
      ...{ status, body: JSON.stringify({ error: { code: "TooManyRequests", message: "Slow down." } }) },
      ...(wait !== undefined && { headers: { "retry-after": wait } }),
    });
    const timed = async (work: () => Promise<unknown>) => {
      const since = performance.now();
      await work();
      return performance.now() - since;
    };

    it("are asked again when they say, and not all at the same moment", async () => {
      first = [busy("1"), busy(new Date(Date.now() + 2_500).toUTCString(), 503)];
      const milliseconds = await timed(() => call(url, { method: "POST", body: "again" }));
      assert.deepEqual(
        asked.map(({ body }) => body),
        ["again", "again", "again"],
      );
      assert.ok(milliseconds > 1_300 && milliseconds < 5_000, `${milliseconds} ms`);
    });

    it("are given a second where they do not say when", async () => {
      first = [busy(undefined)];
      const milliseconds = await timed(() => call(url, { method: "GET" }));
      assert.ok(milliseconds >= 1_000 && milliseconds < 2_000, `${milliseconds} ms`);
    });

    it("are not waited for longer than a minute in all, nor longer than who asks has patience", async () => {
      answer = busy("61");
      await assert.rejects(call(url, { method: "GET" }), { name: "TooManyRequests", status: 429 });
      answer = busy("1");
      await assert.rejects(caller(credential, "scope", 0)(url, { method: "GET" }), { status: 429 });
      assert.ok((await timed(() => assert.rejects(caller(credential, "scope", 1_500)(url, { method: "GET" })))) < 2_500);
      assert.ok(asked.length <= 4);
    });

    it("and only those: an error is told at once", async () => {
      answer = { status: 500, body: "", headers: { "retry-after": "1" } };
      await assert.rejects(call(url, { method: "GET" }), { status: 500 });
      assert.equal(asked.length, 1);
    });
  });

  it("announce a result as a CloudEvent, the same when it is sent again", async () => {
    const topic = new TopicNotifier(call, `${url}/api/events`);
    await topic.announce(notification);
    await topic.announce(notification);
    const [first, second] = asked.map(({ body }) => JSON.parse(body));
    assert.deepEqual(first, second);
    const [{ id, ...event }] = first;
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.deepEqual(event, {
      specversion: "1.0",
      source: "/image-pipeline",
      type: "ImagePipeline.ImageCompleted",
      subject: "cat.png",
      time: record.uploadedAt,
      datacontenttype: "application/json",
      status: "completed",
      data: record,
    });
    assert.equal(asked[0]?.request.url, "/api/events?api-version=2018-01-01");
    assert.match(asked[0]?.request.headers["content-type"] ?? "", /^application\/cloudevents-batch\+json/);
  });

  it("announce a result by the same id after its image has been attributed, and another result by another", async () => {
    const topic = new TopicNotifier(call, `${url}/api/events`);
    const later = { ...record, processedAt: "2026-01-02T03:04:06.000Z" };
    for (const said of [record, { ...record, user: "ann" }, later])
      await topic.announce({ ...notification, message: JSON.stringify(said) });
    const ids = asked.map(({ body }) => JSON.parse(body)[0].id);
    assert.equal(ids[1], ids[0]);
    assert.notEqual(ids[2], ids[0]);
  });

  it("send mail", async () => {
    await new MailNotifier(call, { endpoint: url, sender: "a@example.org", recipient: "ops@example.org" }).announce(notification);
    assert.equal(asked[0]?.request.url, "/emails:send?api-version=2023-03-31");
    assert.deepEqual(JSON.parse(asked[0]?.body ?? ""), {
      senderAddress: "a@example.org",
      recipients: { to: [{ address: "ops@example.org" }] },
      content: { subject: "Image processed", plainText: notification.message },
    });
  });

  it("cost a result its mail and nothing else, when they refuse it: the log tells, and rings unless it is for being too many", async () => {
    const mails = new MailNotifier(caller({ getToken: async () => ({ token: "t", expiresOnTimestamp: 0 }) }, "scope", 0), {
      ...{ endpoint: url, sender: "a@example.org", recipient: "ops@example.org" },
    });
    const { warn, error } = console;
    const lines: [string, string][] = [];
    try {
      console.warn = (line: string) => void lines.push(["warn", JSON.parse(line).code]);
      console.error = (line: string) => void lines.push(["error", JSON.parse(line).code]);
      for (const [status, code] of [
        [429, "TooManyRequests"],
        [403, "Denied"],
      ] as const) {
        answer = { status, body: JSON.stringify({ error: { code, message: "No." } }) };
        await mails.announce(notification);
      }
    } finally {
      Object.assign(console, { warn, error });
    }
    assert.deepEqual(lines, [
      ["warn", "TooManyRequests"],
      ["error", "Denied"],
    ]);
    assert.equal(asked.length, 2, "each is asked once");
  });

  it("are told one after the other, so that what comes after the topic comes once", async () => {
    const told: string[] = [];
    let refusals = 2;
    const topic = { announce: async () => (refusals-- > 0 ? Promise.reject(new Error("busy")) : void told.push("topic")) };
    const mail = { announce: async () => void told.push("mail") };
    const { Notify } = activities({ settings: {}, notifiers: [topic, mail] } as unknown as Ports);
    await assert.rejects(Notify(notification), /busy/);
    await assert.rejects(Notify(notification), /busy/);
    await Notify(notification);
    assert.deepEqual(told, ["topic", "mail"]);
  });

  it("send no mail later than now: images would wait behind those that are too many", async () => {
    const declared = { EMAIL_ENDPOINT: url, EMAIL_SENDER: "a@example.org", EMAIL_RECIPIENT: "ops@example.org" };
    Object.assign(process.env, declared);
    try {
      const [mail] = mails(credential);
      answer = { status: 429, body: "", headers: { "retry-after": "1" } };
      // Whether that is an error is the notifier's.
      await mail?.announce(notification).catch(() => {});
      assert.equal(asked.length, 1);
    } finally {
      for (const name of Object.keys(declared)) delete process.env[name];
    }
  });

  describe("label pictures", () => {
    const image = { jpeg: async () => Buffer.from("picture") } as unknown as TaggerInput;

    it("with what they are sure of, surest first", async () => {
      const values = [
        { name: "grass", confidence: 0.6 },
        { name: "cat", confidence: 0.98 },
        { name: "maybe", confidence: 0.3 },
      ];
      answer = { status: 200, body: JSON.stringify({ modelVersion: "x", tagsResult: { values } }) };
      assert.deepEqual(await vision(call, url)(image), [
        { name: "cat", confidence: 98 },
        { name: "grass", confidence: 60 },
      ]);
      assert.deepEqual(
        [asked[0]?.request.url, asked[0]?.body],
        ["/computervision/imageanalysis:analyze?api-version=2023-10-01&features=tags", "picture"],
      );
    });

    it("or not at all, which costs an image its labels and nothing else", async () => {
      const innererror = { code: "InvalidImageSize", message: "Too small." };
      answer = { status: 400, body: JSON.stringify({ error: { code: "InvalidRequest", message: "No.", innererror } }) };
      assert.deepEqual(await vision(call, url)(image), []);
      answer = { status: 403, body: JSON.stringify({ error: { code: "PermissionDenied", message: "No." } }) };
      await assert.rejects(async () => vision(call, url)(image), ServiceError);
    });
  });
});

describe("What an activity hands on", () => {
  it("is what it found, a refusal, or that it was overtaken; only the infrastructure's errors are thrown", async () => {
    const fail = (error: Error) => outcome(() => Promise.reject(error));
    assert.deepEqual(await outcome(async () => 5), { kind: "found", found: 5 });
    assert.deepEqual(await fail(new ImageRefused("EMPTY", "No bytes.")), {
      kind: "refused",
      failure: { code: "EMPTY", message: "No bytes." },
    });
    assert.deepEqual(await fail(new ObjectChanged("")), { kind: "stale" });
    await assert.rejects(fail(new TypeError("bug")), /bug/);
  });

  it("tells of trouble by name, whatever the host wraps around it", async () => {
    const error = Object.assign(new Error('No "role" {here}\n\\'), { name: "RestError", code: "AuthorizationPermissionMismatch" });
    const told = await telling(() => Promise.reject(error))(0).then(assert.fail, (thrown: Error) => thrown.message);
    const wrapped = new Error(`Activity function 'Validate' failed: Error: ${told}\n    at {"code": …}`);
    assert.deepEqual(troubleOf(wrapped), { code: "AuthorizationPermissionMismatch", message: error.message });
    const numbered = Object.assign(new Error("Deadlock."), { name: "RequestError", code: "EREQUEST", number: 1205 });
    const message = await telling(() => Promise.reject(numbered))(0).then(assert.fail, (thrown: Error) => thrown.message);
    assert.equal(troubleOf(new Error(message)).code, "EREQUEST-1205");
    assert.deepEqual(troubleOf(new Error("out of memory")), { code: "Error", message: "out of memory" });
  });
});
