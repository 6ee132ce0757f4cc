import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Properties, Resource } from "../../../../../local/kernel/service.js";
import apigatewayv2 from "../../../../../local/services/aws/apigatewayv2/index.js";
import iam from "../../../../../local/services/aws/iam.js";
import lambda from "../../../../../local/services/aws/lambda/index.js";
import logs from "../../../../../local/services/aws/logs.js";
import { type TestCloud, type TestCloudOptions, testCloud } from "../../../cloud.js";
import { declareFunction, LOG_GROUP } from "../lambda/functions.js";

const API = "aws:apigatewayv2/api:Api";
const INTEGRATION = "aws:apigatewayv2/integration:Integration";
const ROUTE = "aws:apigatewayv2/route:Route";
const STAGE = "aws:apigatewayv2/stage:Stage";
const PERMISSION = "aws:lambda/permission:Permission";

/** Returns its event as the body of a response, or what the test asks for in a header. */
const ECHO = `export const handler = async (event) => {
  const wanted = event.headers["x-answer"];
  return wanted ? JSON.parse(wanted) : { statusCode: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(event) };
};`;

describe("An HTTP API", () => {
  let test: TestCloud;
  let api: Resource;
  const start = async (options: TestCloudOptions = {}) => {
    test = await testCloud([iam(), logs(), lambda({ concurrency: 20 }), apigatewayv2()], options);
  };
  beforeEach(() => start());
  afterEach(() => test.stop());

  /** An API whose routes (by default the one for everything) lead to one function. */
  const declareApi = async ({
    source = ECHO,
    keys = ["$default"],
    integration = {},
    stage = {},
    permission = {},
    fn = {},
  }: Properties = {}) => {
    api = await test.declare(API, "api", { protocolType: "HTTP" });
    const apiId = api.id;
    const handler = await declareFunction(test, "handler", source, fn);
    const { id } = await test.declare(INTEGRATION, "integration", {
      apiId,
      integrationType: "AWS_PROXY",
      integrationUri: handler.outputs.invokeArn,
      payloadFormatVersion: "2.0",
      ...integration,
    });
    for (const [at, routeKey] of keys.entries())
      await test.declare(ROUTE, `route-${at}`, { apiId, routeKey, target: `integrations/${id}` });
    if (stage) await test.declare(STAGE, "stage", { apiId, name: "$default", autoDeploy: true, ...stage });
    if (permission)
      await test.declare(PERMISSION, "permission", {
        action: "lambda:InvokeFunction",
        function: handler.outputs.name,
        principal: "apigateway.amazonaws.com",
        sourceArn: `${api.outputs.executionArn}/*/*`,
        ...permission,
      });
    return api.outputs.apiEndpoint as string;
  };
  const answering = (answer: unknown) => ({ headers: { "x-answer": JSON.stringify(answer) } });
  const notes = () => test.cloud.trace.entries("note").map(({ text }) => text);

  describe("hands the function an event in payload format 2.0", () => {
    it("with method, path, headers, cookies, query and context", async () => {
      const url = await declareApi();
      const response = await fetch(`${url}/images/a%20b%C3%BC?tag=x&tag=y+z&empty=&p=%2F`, {
        headers: { "X-Mixed": "Case", cookie: "a=1; b=2", "user-agent": "test" },
      });
      const event = (await response.json()) as Properties;
      const { host } = new URL(url);
      assert.deepEqual(
        [event.version, event.routeKey, event.rawPath, event.rawQueryString],
        ["2.0", "$default", "/images/a bü", "tag=x&tag=y+z&empty=&p=%2F"],
      );
      assert.deepEqual(event.queryStringParameters, { tag: "x,y z", empty: "", p: "/" });
      assert.deepEqual(event.cookies, ["a=1", "b=2"]);
      assert.equal(event.headers["x-mixed"], "Case");
      assert.equal(event.headers.cookie, undefined);
      assert.deepEqual([event.body, event.isBase64Encoded, event.pathParameters], [undefined, false, undefined]);
      const { time, timeEpoch, requestId, ...context } = event.requestContext;
      assert.deepEqual(context, {
        accountId: "000000000000",
        apiId: api.id,
        domainName: host,
        domainPrefix: "127",
        http: { method: "GET", path: "/images/a bü", protocol: "HTTP/1.1", sourceIp: "127.0.0.1", userAgent: "test" },
        routeKey: "$default",
        stage: "$default",
      });
      assert.match(time, /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/);
      assert.ok(Math.abs(timeEpoch - Date.now()) < 10_000);
      assert.equal(response.headers.get("apigw-requestid"), requestId);
    });

    const bodies: [type: string, encoded: boolean][] = [
      ["application/json", false],
      ["text/plain; charset=utf-8", false],
      ["application/problem+json", false],
      ["image/png", true],
      ["multipart/form-data; boundary=x", true],
      ["application/octet-stream", true],
    ];
    for (const [type, encoded] of bodies)
      it(`with a body of ${type} as ${encoded ? "base64" : "text"}`, async () => {
        const body = Buffer.from(encoded ? [0, 255, 10, 128] : [...Buffer.from('{"ü":1}')]);
        const event = (await (
          await fetch(await declareApi(), { method: "POST", body, headers: { "content-type": type } })
        ).json()) as Properties;
        assert.equal(event.isBase64Encoded, encoded);
        assert.deepEqual(Buffer.from(event.body, encoded ? "base64" : "utf8"), body);
        assert.equal(event.headers["content-length"], String(body.length));
      });

    it("with parameters of the most specific route", async () => {
      const url = await declareApi({
        keys: ["GET /images/{key+}", "GET /images/{key}/status", "ANY /images/{key}/status", "POST /images", "GET /images/new"],
      });
      const route = async (method: string, path: string) => {
        const response = await fetch(url + path, { method });
        const { routeKey, pathParameters, message } = (await response.json()) as Properties;
        return response.ok ? [routeKey, pathParameters] : [response.status, message];
      };
      assert.deepEqual(await route("GET", "/images/new"), ["GET /images/new", undefined]);
      assert.deepEqual(await route("GET", "/images/a%2Fb"), ["GET /images/{key+}", { key: "a/b" }]);
      assert.deepEqual(await route("GET", "/images/a/b/c"), ["GET /images/{key+}", { key: "a/b/c" }]);
      assert.deepEqual(await route("GET", "/images/a%20b/status"), ["GET /images/{key}/status", { key: "a b" }]);
      assert.deepEqual(await route("DELETE", "/images/a/status"), ["ANY /images/{key}/status", { key: "a" }]);
      assert.deepEqual(await route("GET", "/images"), [404, "Not Found"]);
      assert.deepEqual(await route("DELETE", "/images"), [404, "Not Found"]);
    });
  });

  describe("answers with what the function returns", () => {
    const ask = async (answer: unknown) => {
      const response = await fetch(await declareApi(), answering(answer));
      return {
        status: response.status,
        type: response.headers.get("content-type"),
        cookies: response.headers.getSetCookie(),
        bytes: Buffer.from(await response.arrayBuffer()),
        headers: response.headers,
      };
    };

    it("with status, headers, cookies and a binary body", async () => {
      const bytes = Buffer.from([0, 255, 128]);
      const got = await ask({
        statusCode: 201,
        headers: { "Content-Type": "image/png", "X-Number": 5 },
        cookies: ["a=1; Path=/", "b=2"],
        body: bytes.toString("base64"),
        isBase64Encoded: true,
      });
      assert.deepEqual([got.status, got.type, got.cookies, got.headers.get("x-number")], [201, "image/png", ["a=1; Path=/", "b=2"], "5"]);
      assert.deepEqual(got.bytes, bytes);
    });
    it("with a body without a type as text", async () => {
      const got = await ask({ statusCode: 200, body: "plain" });
      assert.deepEqual([got.type, got.bytes.toString()], ["text/plain;charset=UTF-8", "plain"]);
    });
    it("with a result without a status code as JSON", async () => {
      const got = await ask({ items: [] });
      assert.deepEqual([got.status, got.type, got.bytes.toString()], [200, "application/json", '{"items":[]}']);
    });
    for (const wrong of [{ statusCode: "abc" }, { statusCode: 200, body: { a: 1 } }, { statusCode: 200, headers: { a: {} } }])
      it(`and with 500 when that is ${JSON.stringify(wrong)}`, async () => {
        const got = await ask(wrong);
        assert.deepEqual([got.status, got.bytes.toString()], [500, '{"message":"Internal Server Error"}']);
        assert.ok(notes().some((text) => text.includes("the function's result is no response")));
      });
  });

  describe("answers itself", () => {
    const message = async (response: Response) => [response.status, ((await response.json()) as Properties).message];

    it("500 when the function fails, and says why in the trace", async () => {
      const url = await declareApi({ source: "export const handler = async () => { throw new Error('no table'); };" });
      assert.deepEqual(await message(await fetch(url)), [500, "Internal Server Error"]);
      assert.ok(notes().some((text) => text.includes("no table")));
    });

    it("500 when the function's policy does not let it in, or only for another API", async () => {
      for (const permission of [undefined, { sourceArn: "arn:aws:execute-api:us-east-1:000000000000:other/*/*" }]) {
        const url = await declareApi({ permission: permission ?? null });
        assert.deepEqual(await message(await fetch(url)), [500, "Internal Server Error"]);
        assert.ok(notes().some((text) => /cannot be invoked: AccessDeniedException: .*lambda:InvokeFunction/.test(text)));
        await test.stop();
        await start();
      }
    });

    it("413 to bodies above 10 MB, and to events above what a function takes", async () => {
      const url = await declareApi({
        source: "export const handler = async (event) => ({ statusCode: 200, body: String(Buffer.from(event.body, 'base64').length) });",
      });
      const post = (size: number) => fetch(url, { method: "POST", body: Buffer.alloc(size), headers: { "content-type": "image/png" } });
      assert.equal(await (await post(4_500_000)).text(), "4500000");
      assert.deepEqual(await message(await post(5_000_000)), [413, "Request Too Long"]);
      assert.deepEqual(await message(await post(10 * 1024 * 1024 + 1)), [413, "Request Entity Too Large"]);
    });

    it("431 to headers above 10,240 bytes", async () => {
      assert.deepEqual(await message(await fetch(await declareApi(), { headers: { long: "x".repeat(10_240) } })), [
        431,
        "Request Header Fields Too Large",
      ]);
    });

    it("400 to a path that cannot be decoded", async () => {
      const url = new URL(await declareApi());
      const socket = connect(Number(url.port), "127.0.0.1");
      socket.end("GET /%E0%A4%A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      const [first] = await once(socket, "data");
      assert.match(String(first), /^HTTP\/1.1 400 /);
    });

    it("503 when the function takes longer than the integration may", async () => {
      const url = await declareApi({
        source: "export const handler = async () => new Promise((r) => setTimeout(r, 2000, 1));",
        integration: { timeoutMilliseconds: 300 },
      });
      assert.deepEqual(await message(await fetch(url)), [503, "Service Unavailable"]);
    });

    it("503 when the function is throttled", async () => {
      await test.stop();
      test = await testCloud([iam(), logs(), lambda({ concurrency: 1 }), apigatewayv2()]);
      const url = await declareApi({ source: "export const handler = async () => new Promise((r) => setTimeout(r, 400, 1));" });
      const statuses = (await Promise.all([fetch(url), fetch(url)])).map(({ status }) => status);
      assert.deepEqual(statuses.sort(), [200, 503]);
    });

    it("404 before it has a stage", async () => {
      assert.deepEqual(await message(await fetch(await declareApi({ stage: null }))), [404, "Not Found"]);
    });

    it("429 to more requests than its stage lets through, and to all when the limits are left out", async () => {
      const url = await declareApi({ stage: { defaultRouteSettings: { throttlingBurstLimit: 2, throttlingRateLimit: 0.001 } } });
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await fetch(url)).status);
      assert.deepEqual(statuses, [200, 200, 429, 429]);
      await test.stop();
      await start();
      const trap = await declareApi({ stage: { defaultRouteSettings: { detailedMetricsEnabled: true } } });
      assert.deepEqual(await message(await fetch(trap)), [429, "Too Many Requests"]);
      assert.ok(notes().some((text) => text.includes("means 0")));
    });
  });

  it("writes its access log in the declared format", async () => {
    const group = await test.declare(LOG_GROUP, "access");
    const format = JSON.stringify({
      method: "$context.httpMethod",
      path: "$context.path",
      status: "$context.status",
      route: "$context.routeKey",
      error: "$context.integrationErrorMessage",
      ip: "$context.identity.sourceIp",
    });
    const url = await declareApi({ stage: { accessLogSettings: { destinationArn: group.outputs.arn, format } } });
    await fetch(`${url}/a?b=1`);
    await test.cloud.settled();
    const { events } = await test.cloud.call({
      service: "logs",
      operation: "FilterLogEvents",
      input: { logGroupName: group.outputs.name },
      as: test.owner,
    });
    assert.deepEqual(
      events.map(({ message }: Properties) => JSON.parse(message)),
      [{ method: "GET", path: "/a", status: "200", route: "$default", error: "-", ip: "127.0.0.1" }],
    );
  });

  it("listens where the person asked for, or says that this is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await test.stop();
    await start({ port });
    await assert.rejects(test.declare(API, "api", { protocolType: "HTTP" }), {
      message: new RegExp(`^Port ${port} cannot be listened on \\(EADDRINUSE\\)`),
    });
    server.close();
    await once(server, "close");
    await test.stop();
    await start({ port });
    assert.equal((await test.declare(API, "first", { protocolType: "HTTP" })).outputs.apiEndpoint, `http://127.0.0.1:${port}`);
    assert.notEqual((await test.declare(API, "second", { protocolType: "HTTP" })).outputs.apiEndpoint, `http://127.0.0.1:${port}`);
  });

  it("keeps its address when it is found again", async () => {
    const kept = await test.declare(API, "api", { protocolType: "HTTP" });
    const { folder } = test;
    await test.cloud.stop();
    const services = [apigatewayv2()];
    const next = await testCloud(services, { folder });
    try {
      const outputs = await services[0]?.resources?.[API]?.restore?.(kept, next.cloud);
      assert.equal(outputs?.apiEndpoint, kept.outputs.apiEndpoint);
      assert.equal((await fetch(outputs?.apiEndpoint)).status, 404);
    } finally {
      await next.cloud.stop();
    }
  });

  it("has the outputs that the provider declares", async () => {
    await declareApi();
    const outputsOf = (type: string) => test.cloud.resources.all(type)[0]?.outputs ?? {};
    assert.equal(outputsOf(API).executionArn, `arn:aws:execute-api:us-east-1:000000000000:${api.id}`);
    assert.equal(outputsOf(STAGE).invokeUrl, `${api.outputs.apiEndpoint}/`);
    const wanted: Record<string, string[]> = {
      [API]: ["apiEndpoint", "arn", "executionArn", "ipAddressType", "name", "protocolType", "region", "tagsAll"],
      [STAGE]: ["apiId", "arn", "deploymentId", "executionArn", "invokeUrl", "name", "region", "tagsAll"],
      [INTEGRATION]: ["apiId", "integrationResponseSelectionExpression", "integrationType", "region", "timeoutMilliseconds"],
      [ROUTE]: ["apiId", "region", "routeKey"],
    };
    for (const [type, names] of Object.entries(wanted))
      for (const name of names) assert.notEqual(outputsOf(type)[name], undefined, `${type} ${name}`);
  });

  describe("is refused", () => {
    const wrong: [what: string, args: Properties, message: RegExp][] = [
      ["with payload format 1.0, which is the default", { integration: { payloadFormatVersion: "1.0" } }, /payloadFormatVersion is "1.0"/],
      ["with an integration of another kind", { integration: { integrationType: "HTTP_PROXY" } }, /AWS_PROXY \(functions\) only/],
      ["with a route key that is none", { keys: ["GET images"] }, /route key is not valid: "GET images"/],
      ["with a greedy parameter in the middle", { keys: ["GET /{a+}/b"] }, /only in its last segment/],
      ["with one route twice", { keys: ["GET /a", "GET /a"] }, /already exists/],
      ["without automatic deployments", { stage: { autoDeploy: false } }, /autoDeploy must be true/],
    ];
    for (const [what, args, message] of wrong) it(what, () => assert.rejects(declareApi(args), { message }));
  });
});
