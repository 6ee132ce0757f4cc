import type * as pulumi from "@pulumi/pulumi";
import { InvalidArgument } from "../core/errors.js";
import { oneOf, onlyOptions, type ValidatedArgs } from "../core/validation.js";
import { checkSource } from "./existing-container.js";
import { KUBERNETES_OPTIONS, type Kubernetes, type KubernetesOptions, kubernetesOptions } from "./kubernetes/options.js";
import type { SqlAdministrator } from "./records.js";

/** What can be asked for where the pipeline is a Function App. */
interface FunctionsOptions {
  /**
   * Where the code runs: `"functions"` is a Function App, which costs next to nothing at rest; `"kubernetes"` a cluster of AKS.
   * @default "functions"
   */
  hosting?: "functions";

  /**
   * Instances of the app that always run, 0 to 20, so that orchestrations begin at once; they cost money while they wait.
   * @default 1
   */
  alwaysReady?: number;

  /**
   * Most instances that each group of functions grows to (orchestrations, HTTP, queues), `alwaysReady` to 1,000. An instance works on three images
   * at a time, and has six connections to the database, whose Basic tier executes 30 requests at once; AI Vision takes 20 pictures a second. What is
   * beyond either is tried again for minutes. Below 40 is not possible in every region.
   * @default 40
   */
  maximumInstances?: number;
}

/** What only Azure can be asked for, wherever the code runs. */
interface CommonOptions {
  /**
   * Who administers the database server; whoever deploys has to be it, or a member of it. It is set when the server is created. Later changes of the
   * option change nothing: Azure takes them by `az sql server ad-admin create` only.
   * @default whoever deploys first
   */
  sqlAdministrator?: SqlAdministrator;
}

type AzureOptions = CommonOptions & (FunctionsOptions | KubernetesOptions);

/** A container of our own. */
type CreatedOptions = AzureOptions & {
  /**
   * Its name: 3 to 63 lower-case letters, digits and single hyphens.
   * @default "images-input"; on Kubernetes "rawfiles"
   */
  container?: string;

  source?: never;
};

/** A container that is there: `source: { existing: "account/container" }`. Containers beside it are named so that they are nobody else's. */
type AdoptedOptions = CommonOptions &
  (FunctionsOptions | (KubernetesOptions & { processed?: never })) & {
    container?: never;

    source: {
      /** The resource group of its account. */
      resourceGroup: pulumi.Input<string>;
      /** The account's system topic, in the same group, if it has one: there can be no second one. */
      systemTopic?: pulumi.Input<string>;
    };
  };

/** Azure's own options, and whether a container is adopted by them. */
export type AzureArgs = { source?: never; azure?: CreatedOptions } | { source: { existing: pulumi.Input<string> }; azure: AdoptedOptions };

interface Common {
  container: string;
  source?: AdoptedOptions["source"];
  sqlAdministrator?: SqlAdministrator;
}

/** A Function App, checked, with every default applied. */
export interface Functions {
  hosting: "functions";
  alwaysReady: number;
  maximumInstances: number;
}

/** Azure's own options, checked, with every default applied. */
export type Azure = Common & (Functions | Kubernetes);

const ADMINISTRATOR = {
  login: "how the administrator is shown",
  sid: "the object id of a user or group, or the application (client) id of a service principal",
};

const HOSTINGS = { functions: ["alwaysReady", "maximumInstances"], kubernetes: KUBERNETES_OPTIONS } as const;

/** What containers of the pipeline's own are called beside the one that images arrive in. */
export const THUMBNAILS = "thumbnails";
export const DEAD_LETTERS = "deadletter";

/** @throws InvalidArgument */
export function azureOptions(name: string, { source: adopted, azure = {} }: AzureArgs, { settings }: ValidatedArgs): Azure {
  if (typeof azure !== "object" || azure === null) throw new InvalidArgument(`${name}: azure`, azure, "an object");
  const hosting = oneOf(`${name}: azure.hosting`, azure.hosting ?? "functions", ["functions", "kubernetes"]);
  onlyOptions(name, azure, ["hosting", "container", "source", "sqlAdministrator", ...HOSTINGS[hosting]], "azure.");
  const { container = hosting === "functions" ? "images-input" : "rawfiles", source, sqlAdministrator } = azure;
  const host = hostOf(name, azure, settings);
  const own = [host.hosting === "kubernetes" ? host.processed : THUMBNAILS, DEAD_LETTERS];
  checkContainer(`${name}: azure.container`, container, own);
  if (host.hosting === "kubernetes") checkContainer(`${name}: azure.processed`, host.processed, [DEAD_LETTERS]);
  if (sqlAdministrator) {
    onlyOptions(name, sqlAdministrator, ["login", "sid", "principalType"], "azure.sqlAdministrator.");
    for (const part of ["login", "sid"] as const) {
      if (!sqlAdministrator[part])
        throw new InvalidArgument(`${name}: azure.sqlAdministrator.${part}`, sqlAdministrator[part], ADMINISTRATOR[part]);
    }
    oneOf(`${name}: azure.sqlAdministrator.principalType`, sqlAdministrator.principalType, ["User", "Group", "Application"]);
  }
  if ((adopted === undefined) !== (source === undefined)) {
    throw new InvalidArgument(
      `${name}: azure.source`,
      source,
      adopted ? "an object with the resourceGroup of the adopted account" : "left out where no container is adopted by source.existing",
    );
  }
  if (adopted && source) {
    onlyOptions(name, source, ["resourceGroup", "systemTopic"], "azure.source.");
    if (source.resourceGroup === undefined || source.resourceGroup === "")
      throw new InvalidArgument(`${name}: azure.source.resourceGroup`, source.resourceGroup, "the resource group of the adopted account");
    if (azure.container !== undefined)
      throw new InvalidArgument(`${name}: azure.container`, container, "left out where a container is adopted");
    const { processed } = azure as { processed?: string };
    if (processed !== undefined) throw new InvalidArgument(`${name}: azure.processed`, processed, "left out where a container is adopted");
    if (typeof adopted.existing === "string") checkSource(name, adopted.existing);
  }
  return { container, ...(source && { source }), ...(sqlAdministrator && { sqlAdministrator }), ...host };
}

function hostOf(name: string, azure: AzureOptions, settings: ValidatedArgs["settings"]): Functions | Kubernetes {
  if (azure.hosting === "kubernetes") return kubernetesOptions(name, azure, settings);
  const { alwaysReady = 1, maximumInstances = 40 } = azure;
  if (!Number.isInteger(alwaysReady) || alwaysReady < 0 || alwaysReady > 20)
    throw new InvalidArgument(`${name}: azure.alwaysReady`, alwaysReady, "between 0 and 20");
  const least = Math.max(1, alwaysReady);
  if (!Number.isInteger(maximumInstances) || maximumInstances < least || maximumInstances > 1_000)
    throw new InvalidArgument(`${name}: azure.maximumInstances`, maximumInstances, `between ${least} and 1000`);
  return { hosting: "functions", alwaysReady, maximumInstances };
}

function checkContainer(of: string, container: string, own: readonly string[]): void {
  if (!/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(container) || own.includes(container)) {
    throw new InvalidArgument(
      of,
      container,
      `3 to 63 lower-case letters, digits and single hyphens, and not ${own.map((each) => JSON.stringify(each)).join(" or ")}, which ${own.length > 1 ? "are" : "is"} the pipeline's`,
    );
  }
}
