import * as dynamodb from "@pulumi/aws/dynamodb/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { kept, type StoreOptions, tagged } from "../core/options.js";

/** Options of {@link Records}. */
export interface RecordsArgs extends StoreOptions {
  /** Changes to the resources underneath. */
  transform?: { table?: Transform<dynamodb.TableArgs> } | undefined;
}

/** Index → its hash key. Each sorts by `UploadedOn`. */
const INDEXES = { byUser: "UserId", byStatus: "Status", byTime: "UploadedYear" } as const;

/** The records of all images: a table by `ImageKey`, with indexes by user, status and time; tombstones expire at `ExpiresAt`. */
export class Records extends Component<"table"> {
  /** Physical name of the table. */
  readonly table: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;
  /** ARNs of its indexes. */
  readonly indexes: Record<keyof typeof INDEXES, pulumi.Output<string>>;

  /** The resources underneath. */
  readonly nodes: { table: dynamodb.Table };

  constructor(name: string, args: RecordsArgs = {}, opts?: pulumi.ComponentResourceOptions) {
    super("aws:Records", name, { children: ["table"], transform: args.transform }, opts);
    const table = this.create(
      "table",
      dynamodb.Table,
      {
        billingMode: "PAY_PER_REQUEST",
        hashKey: "ImageKey",
        attributes: ["ImageKey", ...Object.values(INDEXES), "UploadedOn"].map((name) => ({ name, type: "S" })),
        globalSecondaryIndexes: Object.entries(INDEXES).map(([name, hash]) => ({
          name,
          hashKey: hash,
          rangeKey: "UploadedOn",
          projectionType: "ALL",
        })),
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
    const index = (name: keyof typeof INDEXES) => pulumi.interpolate`${table.arn}/index/${name}`;
    this.indexes = { byUser: index("byUser"), byStatus: index("byStatus"), byTime: index("byTime") };
    this.registerOutputs({ table: this.table });
  }
}
