import path from "node:path";
import * as containerregistry from "@pulumi/azure-native/containerregistry/index.js";
import * as pulumi from "@pulumi/pulumi";
import { buildContext } from "../../core/build-context.js";
import { Component, type Transform } from "../../core/component.js";
import { tagged } from "../../core/options.js";
import { isLocal, origin } from "../addresses.js";
import type { Group } from "../group.js";
import { uniqueName } from "../names.js";
import { ImageBuild, type ImageBuildArgs } from "./image-build.js";

/** Options of {@link Registry}. */
export interface RegistryArgs extends Group {
  /** The module of the processor, from this project's root. */
  processor: string;
  /** Modules that it imports as `virtual:…`: name → path from the root of the program's project. */
  modules?: Record<string, string> | undefined;
  /** A token for Azure Resource Manager. */
  token: pulumi.Input<string>;
  /** Changes to the resources underneath. */
  transform?: { registry?: Transform<containerregistry.RegistryArgs>; image?: Transform<ImageBuildArgs> } | undefined;
}

/** A private registry, and in it the pipeline's image, which it builds by itself from what the program uploads. */
export class Registry extends Component<"registry" | "image"> {
  readonly id: pulumi.Output<string>;
  /** What to run, by its digest. */
  readonly image: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { registry: containerregistry.Registry; image: ImageBuild };

  constructor(name: string, args: RegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Registry", name, { children: ["registry", "image"], transform: args.transform }, opts);
    const registry = this.create(
      "registry",
      containerregistry.Registry,
      {
        resourceGroupName: args.resourceGroupName,
        location: args.location,
        registryName: uniqueName(name, 50, args.groupId, ""),
        sku: { name: "Basic" },
        adminUserEnabled: false,
        ...tagged(args),
      },
      { ignoreChanges: ["registryName"] },
    );
    const image = this.createImage(args, registry);
    this.nodes = { registry, image };
    this.id = registry.id;
    this.image = image.reference;
    this.registerOutputs({ image: this.image });
  }

  private createImage({ processor, modules, token }: RegistryArgs, registry: containerregistry.Registry): ImageBuild {
    const context = pulumi.output(
      buildContext({
        name: this.name,
        entries: { "uploader.mjs": "functions/container/uploader.ts", "processor.mjs": processor },
        ...(modules && { modules }),
        target: "node24",
        dockerfile: "functions/container/Dockerfile",
      }),
    );
    return this.create("image", ImageBuild, {
      // The embedded cloud has Resource Manager beside the registry.
      manager: registry.loginServer.apply((host) => (isLocal(host) ? origin(host) : "https://management.azure.com")),
      registryId: registry.id,
      loginServer: registry.loginServer,
      repository: "pipeline",
      tag: context.sha256.apply((hash) => hash.slice(0, 16)),
      // Relative, so that nobody's folders are written into the state.
      path: context.path.apply((file) => path.relative(process.cwd(), file).split(path.sep).join("/")),
      sha256: context.sha256,
      token,
    });
  }
}
