import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import path from "node:path";
import type { Cloud } from "../../../kernel/cloud.js";
import type { HttpRequest, HttpResponse } from "../../../kernel/http.js";
import { close, listen } from "../../../kernel/http-server.js";
import { CloudError, type Properties, type Resource, type ResourceType, type Service } from "../../../kernel/service.js";
import { accessLine, type Exchange } from "./access-log.js";
import { eventOf, responseOf } from "./event.js";
import { match, routeKeyProblem } from "./routes.js";
import { Throttle } from "./throttle.js";

const API = "aws:apigatewayv2/api:Api";
const INTEGRATION = "aws:apigatewayv2/integration:Integration";
const ROUTE = "aws:apigatewayv2/route:Route";
const STAGE = "aws:apigatewayv2/stage:Stage";

/** Fixed quotas of HTTP APIs. */
const BODY_LIMIT = 10 * 1024 * 1024;
const HEADERS_LIMIT = 10_240;

const bad = (message: string) => new CloudError("BadRequestException", message);
const said = (status: number, message: string): HttpResponse => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ message }),
});

/** API Gateway's HTTP APIs: each listens on a loopback port of its own and hands requests to functions. */
export default function apigatewayv2(): Service {
  const servers = new Map<string, Server>();
  const throttles = new Map<string, { declared: string; throttle: Throttle }>();
  let portTaken = false;
  let portsFile = "";

  /** Ports of earlier runs by API id, so that a kept stack keeps its URL. */
  const ports = async (): Promise<Record<string, number>> => JSON.parse(await readFile(portsFile, "utf8").catch(() => "{}"));

  const open = async (apiId: string, cloud: Cloud): Promise<string> => {
    const asked = portTaken ? undefined : cloud.port;
    portTaken = true;
    const kept = (await ports())[apiId];
    const { server, port } = await listen((request) => serve(apiId, request, cloud), asked ?? kept ?? 0, {
      insist: asked !== undefined,
    }).catch((error) => {
      throw new CloudError(
        "ConflictException",
        `Port ${asked} cannot be listened on (${error.code}): end what holds it, or choose another port.`,
        409,
      );
    });
    servers.set(apiId, server);
    await writeFile(portsFile, JSON.stringify({ ...(await ports()), [apiId]: port }));
    if (kept !== undefined && kept !== port)
      cloud.trace.add({
        kind: "note",
        subject: "apigateway",
        text: `Port ${kept}, which API ${apiId} had before, is taken: it listens on ${port} now`,
      });
    return `http://127.0.0.1:${port}`;
  };

  const shut = async (apiId: string) => {
    const server = servers.get(apiId);
    servers.delete(apiId);
    if (server) await close(server);
  };

  const serve = async (apiId: string, request: HttpRequest, cloud: Cloud): Promise<HttpResponse> => {
    const time = cloud.now();
    const exchange: Exchange = {
      apiId,
      accountId: cloud.account,
      request,
      requestId: `${randomBytes(11).toString("base64").slice(0, 14)}=`,
      time,
    };
    const response = await cloud.busy(respond(exchange, cloud));
    const stage = stageOf(apiId, cloud);
    const line =
      stage?.inputs.accessLogSettings &&
      accessLine(stage.inputs.accessLogSettings.format, { ...exchange, response, latency: cloud.now().getTime() - time.getTime() });
    count(apiId, response.status, cloud);
    if (stage && line) void cloud.busy(writeAccessLog(stage, line, cloud));
    return { ...response, headers: { "apigw-requestid": exchange.requestId, ...response.headers } };
  };

  const respond = async (exchange: Exchange, cloud: Cloud): Promise<HttpResponse> => {
    const { apiId, request, requestId, time } = exchange;
    const refuse = (status: number, message: string, why: string) => {
      exchange.error = why;
      cloud.trace.add({
        kind: "note",
        subject: "apigateway",
        text: `${request.method} ${request.target} → ${status}: ${why}`,
        detail: { apiId, requestId, status },
      });
      return said(status, message);
    };
    const stage = stageOf(apiId, cloud);
    if (!stage) return refuse(404, "Not Found", "the API has no stage");
    const [raw = "/"] = request.target.split("?");
    if (!decodable(raw)) return refuse(400, "Bad Request", "the path cannot be decoded");
    const headerBytes = Object.entries(request.headers).reduce(
      (sum, [name, value]) => sum + name.length + value.length,
      request.target.length,
    );
    if (headerBytes > HEADERS_LIMIT)
      return refuse(431, "Request Header Fields Too Large", `${headerBytes} bytes of headers are more than ${HEADERS_LIMIT}`);
    if (request.body.length > BODY_LIMIT)
      return refuse(413, "Request Entity Too Large", `${request.body.length} bytes of body are more than ${BODY_LIMIT}`);

    const routes = cloud.resources.all(ROUTE).filter(({ inputs }) => inputs.apiId === apiId && inputs.target);
    const found = match(
      routes.map(({ inputs }) => ({ key: inputs.routeKey, target: inputs.target })),
      request.method,
      raw,
    );
    if (!found) return refuse(404, "Not Found", "no route matches");
    exchange.routeKey = found.route.key;
    if (!admitted(stage, cloud)) return refuse(429, "Too Many Requests", throttleText(stage));
    const integration = cloud.resources.get(INTEGRATION, found.route.target.replace("integrations/", ""));
    if (!integration) return refuse(500, "Internal Server Error", `the route's target ${found.route.target} does not exist`);

    const event = eventOf(request, found, { accountId: cloud.account, apiId, stage: stage.inputs.name, requestId, time });
    // ANY stands in the source ARN as the star that callers' policies are written for.
    const [method, ...rest] = found.route.key === "$default" ? ["$default"] : found.route.key.replace("ANY ", "* ").split(" ");
    const source = `${executionArn(apiId, cloud)}/${stage.inputs.name}/${method}${rest.join("")}`;
    const invocation = cloud.call({
      service: "lambda",
      operation: "Invoke",
      input: { FunctionName: functionArn(integration.inputs.integrationUri), Payload: Buffer.from(JSON.stringify(event)) },
      as: { kind: "service", service: "apigateway.amazonaws.com", source },
    });
    const { timeoutMilliseconds } = integration.inputs;
    const timer = timeout(timeoutMilliseconds);
    try {
      const result = await Promise.race([invocation, timer.elapsed]);
      if (result === undefined)
        return refuse(503, "Service Unavailable", `the integration did not answer within ${timeoutMilliseconds} ms`);
      if (result.FunctionError) return refuse(500, "Internal Server Error", `the function failed: ${result.Payload}`);
      const response = responseOf(JSON.parse(Buffer.from(result.Payload).toString()));
      return (
        response ??
        refuse(
          500,
          "Internal Server Error",
          `the function's result is no response: ${Buffer.from(result.Payload).toString().slice(0, 200)}`,
        )
      );
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      if (error.code === "RequestEntityTooLargeException")
        return refuse(413, "Request Too Long", `the event is larger than what a function takes: ${error.message}`);
      if (error.code === "TooManyRequestsException") return refuse(503, "Service Unavailable", "the function is throttled");
      return refuse(500, "Internal Server Error", `the function cannot be invoked: ${error.code}: ${error.message}`);
    } finally {
      timer.cancel();
      invocation.catch(() => {});
    }
  };

  const admitted = (stage: Resource, cloud: Cloud): boolean => {
    const settings = stage.inputs.defaultRouteSettings;
    if (!settings) return true;
    const { throttlingRateLimit: rate = 0, throttlingBurstLimit: burst = 0 } = settings;
    const declared = `${rate}/${burst}`;
    let current = throttles.get(stage.id);
    if (current?.declared !== declared) {
      current = { declared, throttle: new Throttle(rate, burst, cloud.now()) };
      throttles.set(stage.id, current);
    }
    return current.throttle.admit(cloud.now());
  };

  const apiType: ResourceType = {
    inputs: [
      "name",
      "protocolType",
      "description",
      "version",
      "disableExecuteApiEndpoint",
      "routeSelectionExpression",
      "apiKeySelectionExpression",
      "ipAddressType",
      "tags",
    ],
    replacedBy: ["protocolType"],
    named: { input: "name", maxLength: 128 },
    check(inputs) {
      if (inputs.protocolType !== "HTTP") throw bad(`protocolType is "${inputs.protocolType}": the embedded cloud has HTTP APIs only.`);
      if (inputs.disableExecuteApiEndpoint)
        throw bad("disableExecuteApiEndpoint must be false: the embedded cloud has no custom domains, so nothing could reach the API.");
      const selection = inputs.routeSelectionExpression ?? ROUTE_SELECTION;
      if (selection !== ROUTE_SELECTION)
        throw bad(`routeSelectionExpression is "${selection}": for HTTP APIs it must be "${ROUTE_SELECTION}".`);
      return inputs;
    },
    async create(inputs, cloud) {
      const id = randomId(10);
      return { id, outputs: apiOutputs(id, await open(id, cloud), inputs, cloud) };
    },
    update: async (id, inputs, before, cloud) => apiOutputs(id, before.outputs.apiEndpoint, inputs, cloud),
    delete: ({ id }) => shut(id),
    restore: async ({ id, inputs }, cloud) => apiOutputs(id, await open(id, cloud), inputs, cloud),
  };

  return {
    name: "apigateway",
    resources: { [API]: apiType, [INTEGRATION]: integrationType, [ROUTE]: routeType, [STAGE]: stageType },
    async start(_, folder) {
      portsFile = path.join(folder, "ports.json");
    },
    async stop() {
      await Promise.all([...servers.keys()].map(shut));
    },
  };
}

// --- resources

const ROUTE_SELECTION = "$request.method $request.path";

const randomId = (length: number) => [...randomBytes(length)].map((byte) => "abcdefghijklmnopqrstuvwxyz0123456789"[byte % 36]).join("");
const executionArn = (apiId: string, { partition, region, account }: Cloud) => `arn:${partition}:execute-api:${region}:${account}:${apiId}`;
const stageOf = (apiId: string, cloud: Cloud) => cloud.resources.all(STAGE).find(({ inputs }) => inputs.apiId === apiId);
const existingApi = (apiId: string, cloud: Cloud) => {
  const api = cloud.resources.get(API, apiId);
  if (!api) throw new CloudError("NotFoundException", `Invalid API identifier specified ${cloud.account}:${apiId}`, 404);
  return api;
};

function apiOutputs(id: string, apiEndpoint: string, inputs: Properties, cloud: Cloud): Properties {
  return {
    apiKeySelectionExpression: "$request.header.x-api-key",
    disableExecuteApiEndpoint: false,
    ipAddressType: "ipv4",
    routeSelectionExpression: ROUTE_SELECTION,
    ...inputs,
    apiEndpoint,
    arn: `arn:${cloud.partition}:apigateway:${cloud.region}::/apis/${id}`,
    executionArn: executionArn(id, cloud),
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

const integrationType: ResourceType = {
  inputs: [
    "apiId",
    "integrationType",
    "integrationUri",
    "integrationMethod",
    "payloadFormatVersion",
    "timeoutMilliseconds",
    "description",
    "connectionType",
  ],
  replacedBy: ["apiId", "integrationType"],
  check(inputs) {
    const complete: Properties = {
      connectionType: "INTERNET",
      integrationMethod: "POST",
      payloadFormatVersion: "1.0",
      timeoutMilliseconds: 30_000,
      ...inputs,
    };
    const { integrationType, payloadFormatVersion, timeoutMilliseconds, connectionType, integrationUri } = complete;
    if (integrationType !== "AWS_PROXY")
      throw bad(`integrationType is "${integrationType}": the embedded cloud has AWS_PROXY (functions) only.`);
    if (payloadFormatVersion !== "2.0")
      throw bad(`payloadFormatVersion is "${payloadFormatVersion}" ("1.0" when left out): the embedded cloud has "2.0" only.`);
    if (connectionType !== "INTERNET") throw bad(`connectionType is "${connectionType}": the embedded cloud has INTERNET only.`);
    if (!(timeoutMilliseconds >= 50 && timeoutMilliseconds <= 30_000))
      throw bad(`timeoutMilliseconds is ${timeoutMilliseconds}: it must be 50 to 30000.`);
    if (!integrationUri) throw bad("integrationUri is missing: it must be the invokeArn of a function.");
    return complete;
  },
  async create(inputs, cloud) {
    existingApi(inputs.apiId, cloud);
    functionArn(inputs.integrationUri);
    return { id: randomId(7), outputs: { ...inputs, integrationResponseSelectionExpression: "", region: cloud.region } };
  },
  update: async (_, inputs, __, cloud) => {
    functionArn(inputs.integrationUri);
    return { ...inputs, integrationResponseSelectionExpression: "", region: cloud.region };
  },
  async delete({ id }, cloud) {
    const user = cloud.resources.all(ROUTE).find(({ inputs }) => inputs.target === `integrations/${id}`);
    if (user)
      throw new CloudError("ConflictException", `Unable to delete integration ${id}: route ${user.inputs.routeKey} targets it.`, 409);
  },
};

const routeType: ResourceType = {
  inputs: ["apiId", "routeKey", "target", "operationName", "authorizationType", "apiKeyRequired"],
  replacedBy: ["apiId"],
  check(inputs) {
    const { routeKey, authorizationType = "NONE", apiKeyRequired = false, target } = inputs;
    const problem = routeKeyProblem(routeKey);
    if (problem) throw bad(`The provided route key is not valid: "${routeKey}" ${problem}.`);
    if (authorizationType !== "NONE")
      throw bad(`authorizationType is "${authorizationType}": the embedded cloud has NONE only; verify in the function.`);
    if (apiKeyRequired) throw bad("apiKeyRequired must be false: HTTP APIs have no API keys.");
    if (target !== undefined && !/^integrations\/\w+$/.test(target))
      throw bad(`target is "${target}": it must be "integrations/" and the id of an integration.`);
    return { ...inputs, authorizationType, apiKeyRequired };
  },
  async create(inputs, cloud) {
    existingApi(inputs.apiId, cloud);
    const twin = cloud.resources
      .all(ROUTE)
      .find((route) => route.inputs.apiId === inputs.apiId && route.inputs.routeKey === inputs.routeKey);
    if (twin) throw new CloudError("ConflictException", `Route with key ${inputs.routeKey} already exists for this API`, 409);
    return { id: randomId(7), outputs: { ...inputs, region: cloud.region } };
  },
  update: async (_, inputs, __, cloud) => ({ ...inputs, region: cloud.region }),
  async delete() {},
};

const stageType: ResourceType = {
  inputs: [
    "apiId",
    "name",
    "autoDeploy",
    "description",
    "accessLogSettings",
    "defaultRouteSettings.throttlingBurstLimit",
    "defaultRouteSettings.throttlingRateLimit",
    "defaultRouteSettings.detailedMetricsEnabled",
    "tags",
  ],
  replacedBy: ["apiId", "name"],
  check(inputs) {
    if (inputs.name !== "$default") throw bad(`The stage's name is "${inputs.name}": the embedded cloud has "$default" only.`);
    if (inputs.autoDeploy !== true) throw bad("autoDeploy must be true: the embedded cloud has no deployments made by hand.");
    return inputs;
  },
  async create(inputs, cloud) {
    existingApi(inputs.apiId, cloud);
    if (stageOf(inputs.apiId, cloud)) throw new CloudError("ConflictException", "Stage already exists", 409);
    return { id: `${inputs.apiId}/${inputs.name}`, outputs: stageOutputs(inputs, cloud) };
  },
  update: async (_, inputs, __, cloud) => stageOutputs(inputs, cloud),
  async delete() {},
  restore: async ({ inputs }, cloud) => stageOutputs(inputs, cloud),
};

function stageOutputs(inputs: Properties, cloud: Cloud): Properties {
  const api = existingApi(inputs.apiId, cloud);
  return {
    ...inputs,
    arn: `${api.outputs.arn}/stages/${inputs.name}`,
    deploymentId: randomId(6),
    executionArn: `${api.outputs.executionArn}/${inputs.name}`,
    invokeUrl: `${api.outputs.apiEndpoint}/`,
    region: cloud.region,
    tagsAll: inputs.tags ?? {},
  };
}

// --- requests

/** The function in an `invokeArn`, or in its plain ARN. @throws CloudError */
function functionArn(uri: string): string {
  const arn = /:lambda:path\/[\d-]+\/functions\/(.+)\/invocations$/.exec(uri)?.[1] ?? uri;
  if (!/^arn:[^:]+:lambda:[^:]+:\d{12}:function:[\w-]+(:[\w$-]+)?$/.test(arn))
    throw bad(`integrationUri is "${uri}": it must be the invokeArn of a function.`);
  return arn;
}

function decodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function throttleText({ inputs: { defaultRouteSettings: settings } }: Resource): string {
  const { throttlingRateLimit: rate, throttlingBurstLimit: burst } = settings;
  if (!rate || !burst)
    return `defaultRouteSettings without throttlingRateLimit (${rate ?? "not set"}) and throttlingBurstLimit (${burst ?? "not set"}) means 0`;
  return `more than ${rate} requests a second, ${burst} at once`;
}

/** Settles with `undefined` after a time. */
function timeout(milliseconds: number): { elapsed: Promise<undefined>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return { elapsed, cancel: () => clearTimeout(timer) };
}

/** The metrics of one request. A cloud without CloudWatch has APIs all the same. */
function count(apiId: string, status: number, cloud: Cloud): void {
  const values = { Count: 1, "4xx": status >= 400 && status < 500 ? 1 : 0, "5xx": status >= 500 ? 1 : 0 };
  const MetricData = Object.entries(values).map(([MetricName, Value]) => ({
    MetricName,
    Value,
    Unit: "Count",
    Dimensions: [{ Name: "ApiId", Value: apiId }],
  }));
  const as = { kind: "service", service: "apigateway.amazonaws.com", source: executionArn(apiId, cloud) } as const;
  void cloud.busy(
    cloud
      .call({ service: "monitoring", operation: "PutMetricData", input: { Namespace: "AWS/ApiGateway", MetricData }, as })
      .catch(() => {}),
  );
}

async function writeAccessLog(stage: Resource, line: string, cloud: Cloud): Promise<void> {
  const { destinationArn } = stage.inputs.accessLogSettings;
  const logGroupName = /:log-group:([^:]+)/.exec(destinationArn)?.[1];
  const logStreamName = `${stage.inputs.apiId}-default`;
  const as = { kind: "service", service: "delivery.logs.amazonaws.com", source: stage.outputs.arn } as const;
  const call = (operation: string, input: Properties) =>
    cloud.call({ service: "logs", operation, input: { logGroupName, logStreamName, ...input }, as });
  try {
    await call("CreateLogStream", {}).catch((error) => {
      if (error.code !== "ResourceAlreadyExistsException") throw error;
    });
    await call("PutLogEvents", { logEvents: [{ timestamp: cloud.now().getTime(), message: line }] });
  } catch (error) {
    cloud.trace.add({
      kind: "note",
      subject: "apigateway",
      text: `The access log cannot be written to ${logGroupName}: ${(error as Error).message}`,
    });
  }
}
