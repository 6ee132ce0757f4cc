import * as storage from "@pulumi/azure-native/storage/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { InvalidArgument } from "../core/errors.js";
import { kept, type StoreOptions } from "../core/options.js";
import { uniqueName } from "./names.js";

/** Options of {@link ExistingContainer}. */
export interface ExistingContainerArgs extends StoreOptions {
  /** `account/container` */
  source: pulumi.Input<string>;
  /** Where the account lies. */
  resourceGroupName: pulumi.Input<string>;
  /** The pipeline's own resource group, to name containers by. */
  groupId: pulumi.Input<string>;
  /** Changes to the resources underneath. */
  transform?: { thumbnails?: Transform<storage.BlobContainerArgs>; deadLetters?: Transform<storage.BlobContainerArgs> } | undefined;
}

/**
 * A container that is there and belongs to somebody else. Nothing of its account's configuration is touched: its owner keeps CORS, lifecycle and
 * network rules. Beside it, the pipeline puts containers of its own.
 */
export class ExistingContainer extends Component<"thumbnails" | "deadLetters"> {
  readonly accountId: pulumi.Output<string>;
  readonly location: pulumi.Output<string>;
  readonly endpoints: pulumi.Output<{ blob: string }>;
  readonly containers: {
    uploads: { name: pulumi.Output<string>; id: pulumi.Output<string> };
    thumbnails: storage.BlobContainer;
    deadLetters: storage.BlobContainer;
  };
  readonly nodes: { containers: { thumbnails: storage.BlobContainer; deadLetters: storage.BlobContainer } };

  constructor(name: string, args: ExistingContainerArgs, opts?: pulumi.ComponentResourceOptions) {
    if (typeof args.source === "string") checkSource(name, args.source);
    super("azure:ExistingContainer", name, { children: ["thumbnails", "deadLetters"], transform: args.transform }, opts);
    const parts = pulumi.output(args.source).apply((source) => checkSource(name, source));
    const { resourceGroupName } = args;
    const accountName = parts.account;
    const account = storage.getStorageAccountOutput({ accountName, resourceGroupName }, { parent: this });
    // That it is there is found out now, not when the first image comes.
    const container = storage.getBlobContainerOutput({ accountName, containerName: parts.container, resourceGroupName }, { parent: this });
    const own = (child: "thumbnails" | "deadLetters", suffix: string) =>
      this.create(
        child,
        storage.BlobContainer,
        { accountName, resourceGroupName, containerName: uniqueName(`${name}-${suffix}`, 63, args.groupId), publicAccess: "None" },
        { ...kept(args), ignoreChanges: ["containerName"] },
      );
    const containers = { thumbnails: own("thumbnails", "thumbnails"), deadLetters: own("deadLetters", "deadletter") };
    this.accountId = account.id;
    this.location = account.location;
    this.endpoints = account.primaryEndpoints;
    this.containers = { uploads: { name: parts.container, id: container.id }, ...containers };
    this.nodes = { containers };
    this.registerOutputs({ accountId: this.accountId });
  }

  /** Tells the owner what browsers need; uploads through the API and by other clients work without it. */
  openTo(origins: pulumi.Input<string>[]): void {
    pulumi
      .all(origins)
      .apply((origins) =>
        pulumi.log.info(
          "The adopted account is not ours to configure. For uploads from a browser by ticket, the CORS rules of its blob service have to allow " +
            `PUT with the headers content-type, if-none-match, x-ms-blob-type and x-ms-meta-* from ${origins.join(", ")}. ` +
            "Pictures that labels were found in lie under labels/ in the pipeline's own container: let a lifecycle rule remove them after a day.",
          this,
        ),
      );
  }
}

/** @throws InvalidArgument unless `source` is `account/container` as Azure names them. */
export function checkSource(name: string, source: string): { account: string; container: string } {
  const [, account, container] = /^([a-z0-9]{3,24})\/([a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9])$/.exec(source) ?? [];
  if (!account || !container) {
    throw new InvalidArgument(`${name}: source.existing`, source, 'a storage account and a container in it: "companyfiles/uploads"');
  }
  return { account, container };
}
