import * as apigateway from "@pulumi/aws/apigatewayv2/index.js";
import * as cloudwatch from "@pulumi/aws/cloudwatch/index.js";
import * as lambda from "@pulumi/aws/lambda/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { physicalName } from "../core/naming.js";
import { tagged } from "../core/options.js";
import type { Duration } from "../core/units.js";
import { retentionInDays } from "./logs.js";

/** Options of {@link HttpApi}. */
export interface HttpApiArgs {
  /** What answers. */
  handler: { invokeArn: pulumi.Input<string>; functionName: pulumi.Input<string> };

  /**
   * Requests per second, over some time and at once; above them callers get 429.
   * @default { rate: 500, burst: 1000 }
   */
  throttling?: { rate: number; burst: number };

  /** @default "30 days" */
  logRetention?: Duration;

  /** Tags on the API, its stage and its log. */
  tags?: Record<string, string> | undefined;

  /** Changes to the resources underneath. */
  transform?:
    | {
        api?: Transform<apigateway.ApiArgs>;
        integration?: Transform<apigateway.IntegrationArgs>;
        route?: Transform<apigateway.RouteArgs>;
        logs?: Transform<cloudwatch.LogGroupArgs>;
        stage?: Transform<apigateway.StageArgs>;
        permission?: Transform<lambda.PermissionArgs>;
      }
    | undefined;
}

const CHILDREN = ["api", "integration", "route", "logs", "stage", "permission"] as const;

/** What is written of each request. */
const ACCESS = {
  requestId: "$context.requestId",
  time: "$context.requestTime",
  ip: "$context.identity.sourceIp",
  method: "$context.httpMethod",
  path: "$context.path",
  status: "$context.status",
  bytes: "$context.responseLength",
  milliseconds: "$context.responseLatency",
  error: "$context.integrationErrorMessage",
};

/** An HTTP API that hands every request to one handler. CORS and authorization are the handler's: the gateway answers nothing by itself. */
export class HttpApi extends Component<(typeof CHILDREN)[number]> {
  /** `https://…`, without a slash at the end; known once it answers. */
  readonly url: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: {
    api: apigateway.Api;
    integration: apigateway.Integration;
    route: apigateway.Route;
    logs: cloudwatch.LogGroup;
    stage: apigateway.Stage;
    permission: lambda.Permission;
  };

  constructor(name: string, args: HttpApiArgs, opts?: pulumi.ComponentResourceOptions) {
    const retention = retentionInDays(args.logRetention ?? "30 days", `${name}: logRetention`);
    super("aws:HttpApi", name, { children: CHILDREN, transform: args.transform }, opts);

    const api = this.create("api", apigateway.Api, { protocolType: "HTTP", ...tagged(args) });
    const integration = this.create("integration", apigateway.Integration, {
      apiId: api.id,
      integrationType: "AWS_PROXY",
      integrationUri: args.handler.invokeArn,
      payloadFormatVersion: "2.0",
      timeoutMilliseconds: 30_000,
    });
    const route = this.create("route", apigateway.Route, {
      apiId: api.id,
      routeKey: "$default",
      target: pulumi.interpolate`integrations/${integration.id}`,
    });
    const logs = this.createLogs(args, retention);
    const stage = this.createStage(args, api, logs, route);
    const permission = this.create("permission", lambda.Permission, {
      action: "lambda:InvokeFunction",
      function: args.handler.functionName,
      principal: "apigateway.amazonaws.com",
      // Any stage and any route of this API: there is one of each.
      sourceArn: pulumi.interpolate`${api.executionArn}/*/*`,
    });

    this.nodes = { api, integration, route, logs, stage, permission };
    this.url = pulumi.all([api.apiEndpoint, stage.id, permission.id]).apply(([endpoint]) => endpoint);
    this.registerOutputs({ url: this.url });
  }

  /** Under `/aws/vendedlogs/`, because the account's one policy for log delivery would grow too large with other names. */
  private createLogs(args: HttpApiArgs, retention: number): cloudwatch.LogGroup {
    const name = physicalName(`/aws/vendedlogs/apis/${this.name}-access`, 512, pulumi.getProject(), pulumi.getStack());
    return this.create("logs", cloudwatch.LogGroup, { name, retentionInDays: retention, ...tagged(args) });
  }

  private createStage(args: HttpApiArgs, api: apigateway.Api, logs: cloudwatch.LogGroup, route: apigateway.Route): apigateway.Stage {
    const { rate, burst } = args.throttling ?? { rate: 500, burst: 1_000 };
    return this.create(
      "stage",
      apigateway.Stage,
      {
        apiId: api.id,
        name: "$default",
        autoDeploy: true,
        accessLogSettings: { destinationArn: logs.arn, format: JSON.stringify(ACCESS) },
        // Both, because what is left out here counts as 0.
        defaultRouteSettings: { throttlingRateLimit: rate, throttlingBurstLimit: burst },
        ...tagged(args),
      },
      { dependsOn: route },
    );
  }
}
