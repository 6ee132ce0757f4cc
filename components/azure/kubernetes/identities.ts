import * as managedidentity from "@pulumi/azure-native/managedidentity/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../../core/component.js";
import { tagged } from "../../core/options.js";
import type { Group } from "../group.js";

/** Who works in the cluster: the two programs, and the operator that counts messages. */
export const WORKERS = ["uploader", "processor", "scaler"] as const;
export type Worker = (typeof WORKERS)[number];

/** Options of {@link Identities}. */
export interface IdentitiesArgs extends Group {
  /** Changes to the resources underneath. */
  transform?:
    | ({ [W in Worker]?: Transform<managedidentity.UserAssignedIdentityArgs> } & {
        [W in Worker as `${W}Trust`]?: Transform<managedidentity.FederatedIdentityCredentialArgs>;
      })
    | undefined;
}

/** An identity for each that works in the cluster, so that each may do only what it does. */
export class Identities extends Component<Worker | `${Worker}Trust`> {
  /** The identities. */
  readonly nodes: Record<Worker, managedidentity.UserAssignedIdentity>;

  constructor(
    name: string,
    private readonly args: IdentitiesArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    const trusts = WORKERS.map((worker) => `${worker}Trust` as const);
    super("azure:Identities", name, { children: [...WORKERS, ...trusts], transform: args.transform }, opts);
    const { resourceGroupName, location } = args;
    const identity = (worker: Worker) =>
      this.create(worker, managedidentity.UserAssignedIdentity, { resourceGroupName, location, ...tagged(args) });
    this.nodes = { uploader: identity("uploader"), processor: identity("processor"), scaler: identity("scaler") };
    this.registerOutputs();
  }

  /** Lets the accounts of a cluster's pods be these identities: `"namespace:account"`, for each. */
  trust(issuer: pulumi.Input<string>, accounts: Record<Worker, string>): Record<Worker, managedidentity.FederatedIdentityCredential> {
    const credential = (worker: Worker) =>
      this.create(`${worker}Trust`, managedidentity.FederatedIdentityCredential, {
        resourceGroupName: this.args.resourceGroupName,
        resourceName: this.nodes[worker].name,
        federatedIdentityCredentialResourceName: worker,
        issuer,
        subject: `system:serviceaccount:${accounts[worker]}`,
        audiences: ["api://AzureADTokenExchange"],
      });
    return { uploader: credential("uploader"), processor: credential("processor"), scaler: credential("scaler") };
  }
}
