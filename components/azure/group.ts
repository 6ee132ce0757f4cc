import type * as pulumi from "@pulumi/pulumi";

/** Where resources lie: the resource group, and the labels on whatever can carry them. */
export interface Group {
  resourceGroupName: pulumi.Input<string>;
  /** The resource group's id. */
  groupId: pulumi.Input<string>;
  /** The resource group's region. */
  location: pulumi.Input<string>;
  tags?: Record<string, string> | undefined;
}
