import * as eventgrid from "@pulumi/azure-native/eventgrid/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { tagged } from "../core/options.js";
import type { Group } from "./group.js";

/** Options of {@link Topic}. */
export interface TopicArgs extends Group {
  /** Changes to the resources underneath. */
  transform?: { topic?: Transform<eventgrid.TopicArgs> } | undefined;
}

/** An Event Grid topic for CloudEvents, which takes events of whoever has a role for it; its keys open nothing. */
export class Topic extends Component<"topic"> {
  readonly id: pulumi.Output<string>;
  /** Where events are published. */
  readonly endpoint: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { topic: eventgrid.Topic };

  constructor(name: string, args: TopicArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Topic", name, { children: ["topic"], transform: args.transform }, opts);
    const topic = this.create("topic", eventgrid.Topic, {
      resourceGroupName: args.resourceGroupName,
      location: args.location,
      inputSchema: "CloudEventSchemaV1_0",
      disableLocalAuth: true,
      minimumTlsVersionAllowed: "1.2",
      ...tagged(args),
    });
    this.nodes = { topic };
    this.id = topic.id;
    this.endpoint = topic.endpoint;
    this.registerOutputs({ endpoint: this.endpoint });
  }
}
