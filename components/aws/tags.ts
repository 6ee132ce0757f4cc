import * as dynamodb from "@pulumi/aws/dynamodb/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";

/** Options of {@link Tags}. */
export interface TagsArgs extends StoreOptions {
  /** Changes to the resources underneath. */
  transform?: { table?: Transform<dynamodb.TableArgs> } | undefined;
}

/** Where images are found by tag, per user and over all; and labels by the content that they were found in, which expire at `ExpiresAt`. */
export class Tags extends Component<"table"> {
  /** Physical name of the table. */
  readonly table: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { table: dynamodb.Table };

  constructor(name: string, args: TagsArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("aws:Tags", name, { children: ["table"], transform: args.transform }, opts);
    const table = this.create(
      "table",
      dynamodb.Table,
      {
        billingMode: "PAY_PER_REQUEST",
        hashKey: "Tag",
        rangeKey: "Position",
        attributes: ["Tag", "Position"].map((name) => ({ name, type: "S" })),
        ttl: { attributeName: "ExpiresAt", enabled: true },
        pointInTimeRecovery: { enabled: true },
        deletionProtectionEnabled: args.removal === "retain",
        ...tagged(args),
      },
      kept(args),
    );
    this.nodes = { table };
    this.table = table.name;
    this.arn = table.arn;
    this.registerOutputs({ table: this.table });
  }
}
