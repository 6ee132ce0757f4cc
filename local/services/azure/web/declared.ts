import { CloudError, type Properties } from "../../../kernel/service.js";

const invalid = (message: string) => new CloudError("BadRequest", message, 400);

/** Settings that a Flex Consumption app does not take: the plan decides them. */
const REFUSED_SETTINGS =
  /^(FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_WORKER_RUNTIME_VERSION|WEBSITE_NODE_DEFAULT_VERSION|WEBSITE_RUN_FROM_PACKAGE|WEBSITE_CONTENT\w*|FUNCTIONS_WORKER_PROCESS_COUNT)$/;
/** Settings that the host sets itself. */
const RESERVED_SETTINGS = /^(IDENTITY_ENDPOINT|IDENTITY_HEADER|NODE_EXTRA_CA_CERTS|WEBSITE_HOSTNAME|WEBSITE_SITE_NAME|WEBSITE_SKU)$/;
/** What of `siteConfig` a Flex Consumption app takes, and has no effect on this machine beside the settings. */
const SITE_CONFIG = new Set(["appSettings", "minTlsVersion", "scmMinTlsVersion", "http20Enabled"]);
/** Switches that the SDK fills in with `false`. Windows only, or of plans with instances: nothing else is possible on Flex Consumption. */
export const NEVER_ON_FLEX = ["hyperV", "isXenon", "scmSiteAlsoStopped"] as const;
const MEMORY = [512, 2048, 4096];

/** @throws CloudError for any plan but Flex Consumption */
export function checkPlan(inputs: Properties): Properties {
  const { sku, reserved } = inputs;
  if (sku?.name !== undefined && sku.name !== "FC1")
    throw invalid(`sku.name is "${sku.name}": the embedded cloud emulates the Flex Consumption plan only, "FC1".`);
  if (sku?.tier !== undefined && sku.tier !== "FlexConsumption")
    throw invalid(`sku.tier is "${sku.tier}": with "FC1" it must be "FlexConsumption".`);
  if (!sku) throw invalid('sku is missing: it must be { name: "FC1", tier: "FlexConsumption" }.');
  if (reserved === false || reserved === undefined) throw invalid("reserved must be true: Flex Consumption is Linux only.");
  return inputs;
}

/** @throws CloudError for what Flex Consumption would refuse */
export function checkWebApp(inputs: Properties): Properties {
  const { kind, serverFarmId, functionAppConfig, siteConfig = {}, identity } = inputs;
  if (typeof kind === "string" && !kind.split(",").includes("functionapp"))
    throw invalid(`kind is "${kind}": the embedded cloud runs function apps only, "functionapp,linux".`);
  if (serverFarmId === undefined) throw invalid("serverFarmId is missing: a function app needs a plan.");
  const refused = Object.keys(siteConfig).find((key) => !SITE_CONFIG.has(key) && siteConfig[key] !== undefined && siteConfig[key] !== null);
  if (refused)
    throw invalid(
      `siteConfig.${refused} is not supported on Flex Consumption, or not emulated: leave it out${refused === "netFrameworkVersion" || refused === "localMySqlEnabled" ? " (the SDK adds it: drop it by a transformation)" : ""}.`,
    );
  if (identity !== undefined && identity.type !== "UserAssigned")
    throw invalid(`identity.type is "${identity.type}": the embedded cloud emulates "UserAssigned" for function apps.`);
  const on = NEVER_ON_FLEX.find((name) => inputs[name] === true);
  if (on) throw invalid(`${on} is true: a Flex Consumption app cannot have it. Leave it out.`);
  settingsOf(inputs);
  if (!functionAppConfig)
    throw invalid("functionAppConfig is missing: Flex Consumption needs deployment, runtime and scaleAndConcurrency.");
  const { deployment, runtime } = functionAppConfig;
  // Parts may be unknown while a program is previewed.
  if (runtime?.name !== undefined && runtime.name !== "node")
    throw invalid(`functionAppConfig.runtime.name is "${runtime.name}": the embedded cloud runs "node".`);
  if (runtime?.version !== undefined && !["20", "22", "24"].includes(String(runtime.version)))
    throw invalid(`functionAppConfig.runtime.version is "${runtime.version}": it must be 20, 22 or 24.`);
  if (deployment?.storage?.type !== undefined && deployment.storage.type !== "blobContainer")
    throw invalid(`functionAppConfig.deployment.storage.type is "${deployment.storage.type}": it must be "blobContainer".`);
  const authentication = deployment?.storage?.authentication;
  if (authentication?.type === "UserAssignedIdentity" && authentication.userAssignedIdentityResourceId === undefined)
    throw invalid("functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId is missing.");
  memoryOf(inputs);
  return inputs;
}

/** MB. @throws CloudError for sizes that there are not */
export function memoryOf({ functionAppConfig }: Properties): number {
  const memory = functionAppConfig?.scaleAndConcurrency?.instanceMemoryMB ?? 2048;
  if (!MEMORY.includes(memory))
    throw invalid(`functionAppConfig.scaleAndConcurrency.instanceMemoryMB is ${memory}: it must be one of ${MEMORY.join(", ")}.`);
  return memory;
}

/** Declared app settings. @throws CloudError for those that Flex Consumption, or the host, would not take */
export function settingsOf({ siteConfig }: Properties): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const { name, value } of (siteConfig?.appSettings ?? []) as { name?: string; value?: string }[]) {
    if (typeof name !== "string" || !/^[\w.:-]+$/.test(name))
      throw invalid(`siteConfig.appSettings: the name ${JSON.stringify(name)} must have letters, digits, "_", ".", ":" or "-" only.`);
    if (REFUSED_SETTINGS.test(name))
      throw invalid(`The app setting ${name} is not supported on Flex Consumption: functionAppConfig says it.`);
    if (RESERVED_SETTINGS.test(name)) throw invalid(`The app setting ${name} is the host's own: leave it out.`);
    if (name in settings) throw invalid(`The app setting ${name} is there twice.`);
    if (value === undefined || value === null) continue;
    if (/^@Microsoft\.KeyVault\(/.test(value)) throw invalid(`The app setting ${name} is a Key Vault reference: these are not emulated.`);
    settings[name] = String(value);
  }
  return settings;
}
