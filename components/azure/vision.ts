import * as cognitiveservices from "@pulumi/azure-native/cognitiveservices/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import type { Group } from "./group.js";
import { uniqueName } from "./names.js";

/** Options of {@link Vision}. */
export interface VisionArgs extends Group {
  /** Changes to the resources underneath. */
  transform?: { account?: Transform<cognitiveservices.AccountArgs> } | undefined;
}

/** AI Vision, asked by identity only. Microsoft retires it on 2028-09-25. */
export class Vision extends Component<"account"> {
  readonly id: pulumi.Output<string>;
  /** `https://…/` */
  readonly endpoint: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { account: cognitiveservices.Account };

  constructor(name: string, args: VisionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Vision", name, { children: ["account"], transform: args.transform }, opts);
    const account = this.create(
      "account",
      cognitiveservices.Account,
      {
        resourceGroupName: args.resourceGroupName,
        location: args.location,
        kind: "ComputerVision",
        sku: { name: "S1" },
        properties: {
          // Without one of its own, it takes keys only.
          customSubDomainName: uniqueName(name, 64, args.groupId),
          disableLocalAuth: true,
          publicNetworkAccess: "Enabled",
        },
        ...tagged(args),
      },
      { ignoreChanges: ["properties.customSubDomainName"] },
    );
    this.nodes = { account };
    this.id = account.id;
    this.endpoint = account.properties.apply(({ endpoint }) => endpoint);
    this.registerOutputs({ endpoint: this.endpoint });
  }
}
