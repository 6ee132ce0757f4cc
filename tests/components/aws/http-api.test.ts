import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { HttpApi } from "../../../components/aws/http-api.js";
import { declared, recorded } from "../../declared.js";

const handler = { invokeArn: "arn:aws:apigateway:eu-west-1:lambda:path/invocations", functionName: "api" };

describe("HttpApi", () => {
  it("hands every request to its handler, and writes of each", async () => {
    const { api, integration, route, stage, logGroup, permission } = await declared(() => new HttpApi("http", { handler }));
    assert.deepEqual(api, { "http-api": { protocolType: "HTTP" } });
    assert.deepEqual(integration, {
      "http-integration": {
        apiId: "http-api",
        integrationType: "AWS_PROXY",
        integrationUri: handler.invokeArn,
        payloadFormatVersion: "2.0",
        timeoutMilliseconds: 30_000,
      },
    });
    assert.deepEqual(route, { "http-route": { apiId: "http-api", routeKey: "$default", target: "integrations/http-integration" } });
    const logs = logGroup["http-logs"];
    assert.match(logs.name, /^\/aws\/vendedlogs\/apis\/http-access-[0-9a-f]{7}$/);
    assert.equal(logs.retentionInDays, 30);
    const { accessLogSettings, ...staged } = stage["http-stage"];
    assert.deepEqual(staged, {
      apiId: "http-api",
      name: "$default",
      autoDeploy: true,
      defaultRouteSettings: { throttlingRateLimit: 500, throttlingBurstLimit: 1000 },
    });
    assert.equal(accessLogSettings.destinationArn, `arn:aws:logs:eu-west-1:123456789012:log-group:${logs.name}`);
    assert.equal(JSON.parse(accessLogSettings.format).status, "$context.status");
    assert.deepEqual(permission, {
      "http-permission": {
        action: "lambda:InvokeFunction",
        function: "api",
        principal: "apigateway.amazonaws.com",
        sourceArn: "arn:aws:execute-api:eu-west-1:123456789012:http-api/*/*",
      },
    });
  });

  it("is known by its URL once it answers", async () => {
    const program = async () => {
      const url = await new Promise((resolve) => new HttpApi("http", { handler }).url.apply(resolve));
      assert.equal(url, "https://http-api.execute-api.eu-west-1.amazonaws.com");
    };
    assert.equal((await recorded(program)).length, 6);
  });

  it("has its log's name from project, stack and component, so that two stacks do not share it", async () => {
    const { logGroup } = await declared(() => {
      assert.deepEqual([pulumi.getProject(), pulumi.getStack()], ["image-pipeline", "test"]);
      new HttpApi("one", { handler });
      new HttpApi("two", { handler });
    });
    assert.equal(new Set(Object.values<any>(logGroup).map(({ name }) => name)).size, 2);
  });
});
