import aliases from "@pulumi/pulumi/proto/alias_pb.js";
import resources from "@pulumi/pulumi/proto/resource_pb.js";
import type { Properties } from "../kernel/service.js";
import type { Alias } from "./urn.js";

/** A resource as the program wants it. Inputs are in Pulumi's envelopes. */
export interface Goal {
  type: string;
  name: string;
  /** URN, or empty for the stack itself. */
  parent: string;
  custom: boolean;
  inputs: Properties;
  /** URNs by input. */
  propertyDependencies: Record<string, string[]>;
  options: GoalOptions;
}

/** Options of a resource that the engine honours. */
export interface GoalOptions {
  /** URNs. */
  dependencies: string[];
  /** `undefined`: as its parent. */
  protect: boolean | undefined;
  /** `undefined`: as its parent. */
  retainOnDelete: boolean | undefined;
  /** `undefined`: as the provider thinks best. */
  deleteBeforeReplace: boolean | undefined;
  ignoreChanges: string[];
  replaceOnChanges: string[];
  additionalSecretOutputs: string[];
  aliases: Alias[];
  /** `URN::ID` of an explicit provider, or empty. */
  provider: string;
  replacementTrigger: unknown;
  /** Id of an existing resource to adopt, or empty. */
  importId: string;
}

/** The options of a registration in the form in which transforms see them. */
export function optionsOf(request: resources.RegisterResourceRequest): resources.TransformResourceOptions {
  const options = new resources.TransformResourceOptions();
  options.setDependsOnList(request.getDependenciesList());
  if (request.hasProtect()) options.setProtect(request.getProtect() === true);
  if (request.hasRetainondelete()) options.setRetainOnDelete(request.getRetainondelete() === true);
  if (request.getDeletebeforereplacedefined()) options.setDeleteBeforeReplace(request.getDeletebeforereplace());
  options.setIgnoreChangesList(request.getIgnorechangesList());
  options.setReplaceOnChangesList(request.getReplaceonchangesList());
  options.setAdditionalSecretOutputsList(request.getAdditionalsecretoutputsList());
  options.setAliasesList([...request.getAliasesList(), ...request.getAliasurnsList().map((urn) => new aliases.Alias().setUrn(urn))]);
  options.setProvider(request.getProvider());
  options.setVersion(request.getVersion());
  options.setPluginDownloadUrl(request.getPlugindownloadurl());
  options.setCustomTimeouts(request.getCustomtimeouts());
  options.setDeletedWith(request.getDeletedwith());
  options.setReplacementTrigger(request.getReplacementTrigger());
  options.setImport(request.getImportid());
  for (const [pkg, reference] of request.getProvidersMap().entries()) options.getProvidersMap().set(pkg, reference);
  return options;
}

/** What they say. */
export function decodeOptions(options: resources.TransformResourceOptions): GoalOptions {
  return {
    dependencies: options.getDependsOnList(),
    protect: options.hasProtect() ? options.getProtect() : undefined,
    retainOnDelete: options.hasRetainOnDelete() ? options.getRetainOnDelete() : undefined,
    deleteBeforeReplace: options.hasDeleteBeforeReplace() ? options.getDeleteBeforeReplace() : undefined,
    ignoreChanges: options.getIgnoreChangesList(),
    replaceOnChanges: options.getReplaceOnChangesList(),
    additionalSecretOutputs: options.getAdditionalSecretOutputsList(),
    aliases: options.getAliasesList().map(decodeAlias),
    provider: options.getProvider(),
    replacementTrigger: options.getReplacementTrigger()?.toJavaScript(),
    importId: options.getImport(),
  };
}

function decodeAlias(alias: aliases.Alias): Alias {
  const spec = alias.getSpec();
  if (!spec) return alias.getUrn();
  const former = { name: spec.getName(), type: spec.getType(), stack: spec.getStack(), project: spec.getProject() };
  if (spec.hasNoparent() && spec.getNoparent()) return { ...former, parent: "" };
  return spec.hasParenturn() ? { ...former, parent: spec.getParenturn() } : former;
}
