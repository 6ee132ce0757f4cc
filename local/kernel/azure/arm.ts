import type { Cloud } from "../cloud.js";
import { CloudError, type Properties, type Resource, type ResourceType } from "../service.js";

/** The one directory, the one subscription, who deploys, and who looks. The embedded cloud is the same one on every machine. */
export const TENANT = "72f988bf-0000-4000-8000-00000000a2e1";
export const SUBSCRIPTION = "5ab5c219-0000-4000-8000-000000005b5c";
export const DEPLOYER = {
  objectId: "0b1ec710-0000-4000-8000-00000000d3b1",
  clientId: "c11e4700-0000-4000-8000-00000000d3b1",
  name: "deployer",
} as const;

/**
 * The person whose subscription it is. Not who deploys: what this one may do with data, so that it can be looked at, must not make a program
 * work that has not declared it.
 */
export const DEVELOPER = {
  objectId: "0b1ec710-0000-4000-8000-00000000de7e",
  clientId: "c11e4700-0000-4000-8000-00000000de7e",
  name: "developer",
} as const;

/** Where resources lie whose program says nothing else. */
export const LOCATION = "westeurope";

const RESOURCE_GROUP = "azure-native:resources:ResourceGroup";

/** `/subscriptions/…/resourceGroups/GROUP/providers/Microsoft.Storage/storageAccounts/NAME` of `"Microsoft.Storage/storageAccounts"` and names. */
export function resourceId(group: string, type: string, ...names: string[]): string {
  const [provider, ...kinds] = type.split("/");
  return `${groupId(group)}/providers/${provider}/${kinds.map((kind, index) => `${kind}/${names[index]}`).join("/")}`;
}

export const groupId = (group: string): string => `/subscriptions/${SUBSCRIPTION}/resourceGroups/${group}`;

/** Whether two ids of resources, or scopes, are the same: Azure does not mind their case. */
export const sameId = (one: string | undefined, other: string | undefined): boolean =>
  one !== undefined && one.toLowerCase() === other?.toLowerCase();

/** The segment after `kind` in an id: `nameIn(id, "storageAccounts")`. */
export function nameIn(id: string, kind: string): string | undefined {
  const segments = id.split("/");
  const index = segments.findIndex((segment) => segment.toLowerCase() === kind.toLowerCase());
  return index < 0 ? undefined : segments[index + 1];
}

/** What is asked when the outputs of a resource are made. */
export interface ArmContext {
  id: string;
  /** Last segment of the id. */
  name: string;
  cloud: Cloud;
  /** When it is there already: what was computed then stays. */
  before?: Resource | undefined;
}

export interface ArmType {
  /** `"Microsoft.Storage/storageAccounts"` */
  type: string;
  apiVersion: string;
  inputs: readonly string[];
  /** Input that is its name, filled in where the program leaves it out. */
  named?: ResourceType["named"];
  /** Inputs besides the group, the location and the name whose change means a new resource. */
  replacedBy?: readonly string[];
  /** @default the resource group's `type`, and the name of `named` */
  id?(inputs: Properties): string;
  /** `"regional"` fills in the group's location where none is given. @default no location */
  location?: "regional" | "global";
  /** Whether the SDK declares `systemData`. */
  systemData?: boolean;
  check?(inputs: Properties, cloud: Cloud): Properties;
  /** All outputs beside `id`, `name`, `type`, `location`, `tags`, `systemData` and `azureApiVersion`. Called again for every change and restart. */
  outputs(inputs: Properties, context: ArmContext): Properties | Promise<Properties>;
  /** After it is there, or is there again: makes it live. */
  live?(inputs: Properties, context: ArmContext): Promise<void>;
  deleted?(resource: Resource, cloud: Cloud): Promise<void>;
  /** `false`: any change is a replacement. */
  updatable?: boolean;
}

/** A resource as the Resource Manager keeps it: an id by its path, a location, tags, and whatever its provider says of it. */
export function armResource(kind: ArmType): ResourceType {
  const idOf = (inputs: Properties) =>
    kind.id?.(inputs) ?? resourceId(inputs.resourceGroupName, kind.type, inputs[kind.named?.input ?? "name"]);

  const make = async (inputs: Properties, cloud: Cloud, before?: Resource): Promise<{ id: string; outputs: Properties }> => {
    const id = before?.id ?? idOf(inputs);
    const context: ArmContext = { id, name: id.split("/").at(-1) as string, cloud, before };
    const now = cloud.now().toISOString();
    const outputs = {
      name: context.name,
      type: kind.type,
      azureApiVersion: kind.apiVersion,
      ...(kind.location && { location: before?.outputs.location ?? locationOf(inputs, kind.location, cloud) }),
      ...(kind.inputs.includes("tags") && { tags: inputs.tags }),
      ...(kind.systemData && {
        systemData: {
          createdAt: before?.outputs.systemData?.createdAt ?? now,
          createdBy: DEPLOYER.clientId,
          createdByType: "Application",
          lastModifiedAt: now,
          lastModifiedBy: DEPLOYER.clientId,
          lastModifiedByType: "Application",
        },
      }),
      ...(await kind.outputs(inputs, context)),
    };
    await kind.live?.(inputs, context);
    return { id, outputs };
  };

  const nameInput = kind.named?.input;
  return {
    inputs: kind.inputs,
    replacedBy: [
      "resourceGroupName",
      ...(kind.location ? ["location"] : []),
      ...(nameInput ? [nameInput] : []),
      ...(kind.replacedBy ?? []),
    ],
    ...(kind.named && { named: kind.named }),
    check(inputs, cloud) {
      const { resourceGroupName: group } = inputs;
      // While a program is previewed or its group is not there yet, the name may be unknown; then the group was not made here.
      if (typeof group === "string" && !cloud.resources.all(RESOURCE_GROUP).some(({ outputs }) => sameId(outputs.name, group))) {
        throw new CloudError("ResourceGroupNotFound", `Resource group '${group}' could not be found.`, 404);
      }
      return kind.check?.(inputs, cloud) ?? inputs;
    },
    create: (inputs, cloud) => make(inputs, cloud),
    ...(kind.updatable !== false && { update: async (_id, inputs, before, cloud) => (await make(inputs, cloud, before)).outputs }),
    delete: async (resource, cloud) => kind.deleted?.(resource, cloud),
    restore: async (resource, cloud) => (await make(resource.inputs, cloud, resource)).outputs,
  };
}

function locationOf({ location, resourceGroupName }: Properties, kind: "regional" | "global", { resources }: Cloud): string {
  if (location !== undefined) return normalLocation(location);
  if (kind === "global") return "global";
  return resources.all(RESOURCE_GROUP).find(({ outputs }) => sameId(outputs.name, resourceGroupName))?.outputs.location ?? LOCATION;
}

/** `"West Europe"` and `"westeurope"` are the same. */
export const normalLocation = (location: string): string => location.replaceAll(" ", "").toLowerCase();
