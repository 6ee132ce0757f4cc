import * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";

/** Built-in roles, by the names that the portal shows: "Azure built-in roles" lists what each may do. */
const ROLES = {
  "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
  "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
  "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
  "Storage Blob Delegator": "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
  "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
  "Storage Queue Data Reader": "19e7f393-937e-4f77-808e-94535e297925",
  "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
  "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
  "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
  "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
  "Cognitive Services User": "a97b65f3-24c7-4388-baec-2e87135dc908",
  "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
  "Communication and Email Service Owner": "09976791-48a7-449e-bb21-39d1a415f350",
  AcrPull: "7f951dda-4ed3-4680-a7ca-43fe172d538d",
  "Azure Kubernetes Service RBAC Cluster Admin": "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
} as const;

/** A built-in role on a resource and what is in it. */
export interface Grant {
  role: keyof typeof ROLES;
  /** Id of the resource: the narrowest that the service allows. */
  scope: pulumi.Input<string>;
}

/** Options of {@link Grants}. */
export interface GrantsArgs<Name extends string> {
  /** Object id of the identity. */
  principal: pulumi.Input<string>;
  /**
   * What it is to the directory. It has to be told: otherwise Azure looks for it there, where new ones are not known yet, and the SDK says "User".
   * @default "ServicePrincipal", which managed identities are
   */
  principalType?: pulumi.Input<"ServicePrincipal" | "User">;
  /** What it may do, by a name for each. */
  may: Record<Name, Grant>;
  /** Changes to the role assignments, by name. */
  transform?: { [N in Name]?: Transform<authorization.RoleAssignmentArgs> } | undefined;
}

/** What an identity may do: a role assignment for each, and nothing else. */
export class Grants<Name extends string = string> extends Component<Name> {
  /** The role assignments, by name: what needs them has to wait for them. */
  readonly nodes: Record<Name, authorization.RoleAssignment>;

  constructor(
    name: string,
    { principal, principalType = "ServicePrincipal", may, transform }: GrantsArgs<Name>,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    const names = Object.keys(may) as Name[];
    super("azure:Grants", name, { children: names, transform }, opts);
    const { subscriptionId } = authorization.getClientConfigOutput({ parent: this });
    const assignment = (each: Name) => {
      const { role, scope } = may[each];
      return this.create(each, authorization.RoleAssignment, {
        principalId: principal,
        principalType,
        roleDefinitionId: pulumi.interpolate`/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${ROLES[role]}`,
        scope,
      });
    };
    this.nodes = Object.fromEntries(names.map((each) => [each, assignment(each)])) as Record<Name, authorization.RoleAssignment>;
    this.registerOutputs();
  }

  /** All of them, for `dependsOn`. */
  get all(): pulumi.Resource[] {
    return Object.values(this.nodes);
  }
}
