import { readFile } from "node:fs/promises";
import path from "node:path";
import * as web from "@pulumi/azure-native/web/index.js";
import * as pulumi from "@pulumi/pulumi";
import { type Bundle, bundle } from "../core/bundle.js";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import { origin } from "./addresses.js";
import { FunctionCode, type FunctionCodeArgs } from "./function-code.js";
import type { Group } from "./group.js";

/** Options of {@link FunctionApp}. */
export interface FunctionAppArgs extends Group {
  /** The module that registers the functions, from this project's root: `"functions/azure/app.ts"`. */
  entry: string;

  /** Modules that it imports as `virtual:…`: name → path from the root of the program's project. */
  modules?: Record<string, string> | undefined;

  /** The identity that the app has: what it may do, it may by this. */
  identity: { id: pulumi.Input<string>; clientId: pulumi.Input<string> };

  /** Where the host keeps its state, and in which container its package. */
  host: {
    account: pulumi.Input<string>;
    endpoints: pulumi.Input<{ blob: string; queue: string; table: string }>;
    container: pulumi.Input<string>;
  };

  /** Where the host writes its log. */
  insights: { connectionString: pulumi.Input<string> };

  /** The app's configuration, complete but for what the host needs. */
  settings: Record<string, pulumi.Input<string>>;

  /**
   * Instances that always run, so that orchestrations begin at once; they cost money while they wait.
   * @default 1
   */
  alwaysReady?: number | undefined;

  /**
   * Most instances that each group of functions grows to.
   * @default 40
   */
  maximumInstances?: number | undefined;

  /** A token for Azure Resource Manager. */
  token: pulumi.Input<string>;

  /** Changes to the resources underneath. */
  transform?: { plan?: Transform<web.AppServicePlanArgs>; app?: Transform<web.WebAppArgs>; code?: Transform<FunctionCodeArgs> } | undefined;
}

/** What Functions on Azure expects beside the module. */
const HOST = new URL("../../functions/azure/host.json", import.meta.url);

/**
 * A Function App on the Flex Consumption plan: Node 22 on Linux x64, which reaches everything by its own identity. Its code is packaged by the
 * program, and published when it has changed.
 */
export class FunctionApp extends Component<"plan" | "app" | "code"> {
  /** `https://…`, without a slash at the end; known once the code is there. */
  readonly url: pulumi.Output<string>;
  /** Physical name of the app. */
  readonly appName: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { plan: web.AppServicePlan; app: web.WebApp; code: FunctionCode };

  constructor(name: string, args: FunctionAppArgs, opts: pulumi.ComponentResourceOptions & { after?: pulumi.Resource[] } = {}) {
    const { after = [], ...rest } = opts;
    super("azure:FunctionApp", name, { children: ["plan", "app", "code"], transform: args.transform }, rest);
    const plan = this.create("plan", web.AppServicePlan, {
      resourceGroupName: args.resourceGroupName,
      location: args.location,
      kind: "functionapp",
      reserved: true,
      sku: { name: "FC1", tier: "FlexConsumption" },
      ...tagged(args),
    });
    const app = this.createApp(args, plan, after);
    const code = this.createCode(args, app);
    this.nodes = { plan, app, code };
    this.appName = app.name;
    this.url = pulumi.all([app.defaultHostName, code.id]).apply(([host]) => origin(host));
    this.registerOutputs({ url: this.url });
  }

  /** Where pages of the app come from: known before its code is there. */
  get origin(): pulumi.Output<string> {
    return this.nodes.app.defaultHostName.apply(origin);
  }

  private createApp(args: FunctionAppArgs, plan: web.AppServicePlan, after: pulumi.Resource[]): web.WebApp {
    const { identity, host, alwaysReady = 1, maximumInstances = 40 } = args;
    return this.create(
      "app",
      web.WebApp,
      {
        resourceGroupName: args.resourceGroupName,
        location: args.location,
        kind: "functionapp,linux",
        serverFarmId: plan.id,
        httpsOnly: true,
        publicNetworkAccess: "Enabled",
        identity: { type: "UserAssigned", userAssignedIdentities: [identity.id] },
        functionAppConfig: {
          deployment: {
            storage: {
              type: "blobContainer",
              value: pulumi.interpolate`${pulumi.output(host.endpoints).apply(({ blob }) => blob)}${host.container}`,
              authentication: { type: "UserAssignedIdentity", userAssignedIdentityResourceId: identity.id },
            },
          },
          runtime: { name: "node", version: "22" },
          scaleAndConcurrency: {
            instanceMemoryMB: 2_048,
            maximumInstanceCount: maximumInstances,
            alwaysReady: alwaysReady > 0 ? [{ name: "durable", instanceCount: alwaysReady }] : [],
            triggers: { http: { perInstanceConcurrency: 16 } },
          },
        },
        siteConfig: {
          minTlsVersion: "1.2",
          appSettings: Object.entries({ ...hostSettings(args), ...args.settings }).map(([name, value]) => ({ name, value })),
        },
        ...tagged(args),
      },
      // An app that starts before its roles are there cannot read its own package.
      { transformations: [withoutFramework], dependsOn: after },
    );
  }

  private createCode(args: FunctionAppArgs, app: web.WebApp): FunctionCode {
    const zip = pulumi.output(this.package(args));
    const host = app.hostNameSslStates.apply((states) => states?.find(({ hostType }) => hostType === "Repository")?.name ?? "");
    return this.create("code", FunctionCode, {
      host,
      // Relative, so that nobody's folders are written into the state.
      path: zip.apply((zip) => path.relative(process.cwd(), zip.path).split(path.sep).join("/")),
      sha256: zip.sha256,
      token: args.token,
    });
  }

  private async package({ entry, modules }: FunctionAppArgs): Promise<Bundle> {
    return bundle({
      name: this.name,
      entry,
      ...(modules && { modules }),
      sharp: { platform: "linux", arch: "x64" },
      target: "node22",
      // All of the app is one module, with the SDKs of Azure and SQL.
      compact: true,
      // The host puts it in.
      external: ["@azure/functions-core"],
      files: {
        "host.json": await readFile(HOST, "utf8"),
        "package.json": JSON.stringify({ name: "image-pipeline", private: true, type: "module", main: "index.mjs" }),
      },
    });
  }
}

/** What the host itself is told; everything by identity. */
function hostSettings({ identity, host, insights }: FunctionAppArgs): Record<string, pulumi.Input<string>> {
  const endpoints = pulumi.output(host.endpoints);
  return {
    // Set by the platform, says its documentation; apps that had it not were broken.
    FUNCTIONS_EXTENSION_VERSION: "~4",
    AzureWebJobsStorage__accountName: host.account,
    AzureWebJobsStorage__blobServiceUri: endpoints.blob,
    AzureWebJobsStorage__queueServiceUri: endpoints.queue,
    AzureWebJobsStorage__tableServiceUri: endpoints.table,
    AzureWebJobsStorage__credential: "managedidentity",
    AzureWebJobsStorage__clientId: identity.clientId,
    // Its own page would hide ours.
    AzureWebJobsDisableHomepage: "true",
    APPLICATIONINSIGHTS_CONNECTION_STRING: insights.connectionString,
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: pulumi.interpolate`ClientId=${identity.clientId};Authorization=AAD`,
    AZURE_CLIENT_ID: identity.clientId,
  };
}

/** The SDK puts a version of .NET into every site's configuration, which Flex Consumption refuses in some regions. */
const withoutFramework: pulumi.ResourceTransformation = ({ props, opts }) => ({
  opts,
  props: {
    ...props,
    siteConfig: pulumi.output(props.siteConfig).apply(({ netFrameworkVersion: _, localMySqlEnabled: __, ...siteConfig }) => siteConfig),
  },
});
