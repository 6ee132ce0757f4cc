import type * as authorization from "@pulumi/azure-native/authorization/index.js";
import * as eventgrid from "@pulumi/azure-native/eventgrid/index.js";
import * as pulumi from "@pulumi/pulumi";
import { Component, type Transform } from "../core/component.js";
import { ProgramError } from "../core/errors.js";
import { tagged } from "../core/options.js";
import { Grants } from "./grants.js";
import type { Group } from "./group.js";

/** An adopted system topic has no identity, and so could not deliver to a queue whose account has no keys. */
export class SystemTopicWithoutIdentity extends ProgramError {
  readonly code = "SYSTEM_TOPIC_WITHOUT_IDENTITY";

  constructor(component: string, topic: string) {
    super(
      `${component}: the system topic ${topic} has no system-assigned identity: switch it on (System topic → Identity → System assigned), ` +
        "so that it may deliver to the pipeline's queue. The pipeline does not do it, because the topic is not its own.",
    );
  }
}

/** Options of {@link Arrivals}. */
export interface ArrivalsArgs extends Group {
  /** The storage account whose blobs come and go. */
  source: { accountId: pulumi.Input<string>; location: pulumi.Input<string> };
  /** The container that is looked at. */
  container: pulumi.Input<string>;
  /** A system topic that the account has already, as there can be one only. */
  systemTopic?: { name: pulumi.Input<string>; resourceGroupName: pulumi.Input<string> } | undefined;
  /** Where the events go. */
  queue: { accountId: pulumi.Input<string>; name: pulumi.Input<string>; id: pulumi.Input<string> };
  /** Where events go that could not be delivered. */
  deadLetters: { accountId: pulumi.Input<string>; name: pulumi.Input<string>; id: pulumi.Input<string> };
  /** Changes to the resources underneath. */
  transform?:
    | {
        topic?: Transform<eventgrid.SystemTopicArgs>;
        subscription?: Transform<eventgrid.SystemTopicEventSubscriptionArgs>;
        /** The topic's leave to send to the queue. */
        send?: Transform<authorization.RoleAssignmentArgs>;
        /** The topic's leave to write what could not be delivered. */
        park?: Transform<authorization.RoleAssignmentArgs>;
      }
    | undefined;
}

/** Tells a queue what arrives in a container, and what is deleted there: by container only, as what a file is, its content says. */
export class Arrivals extends Component<"topic" | "subscription" | "send" | "park"> {
  /** Resource id of the system topic, whose metrics tell of lost events. */
  readonly topicId: pulumi.Output<string>;

  /** The resources underneath. */
  readonly nodes: { topic?: eventgrid.SystemTopic; grants: Grants; subscription: eventgrid.SystemTopicEventSubscription };

  constructor(name: string, args: ArrivalsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("azure:Arrivals", name, { children: ["topic", "subscription", "send", "park"], transform: args.transform }, opts);
    const own = args.systemTopic ? undefined : this.createTopic(args);
    const topic = own ? { name: own.name, id: own.id, principal: principalOf(own.identity) } : this.adopted(args.systemTopic);
    const { queue, deadLetters, transform: { send, park } = {} } = args;
    const grants = new Grants(
      `${name}-may`,
      {
        principal: topic.principal,
        may: {
          send: { role: "Storage Queue Data Message Sender", scope: queue.id },
          park: { role: "Storage Blob Data Contributor", scope: deadLetters.id },
        },
        transform: { ...(send && { send }), ...(park && { park }) },
      },
      this.child(),
    );
    const subscription = this.createSubscription(args, topic.name, grants);
    this.nodes = { ...(own && { topic: own }), grants, subscription };
    this.topicId = pulumi.output(topic.id);
    this.registerOutputs({ topicId: this.topicId });
  }

  private createTopic(args: ArrivalsArgs): eventgrid.SystemTopic {
    return this.create("topic", eventgrid.SystemTopic, {
      resourceGroupName: args.resourceGroupName,
      location: args.source.location,
      source: args.source.accountId,
      topicType: "Microsoft.Storage.StorageAccounts",
      identity: { type: "SystemAssigned" },
      ...tagged(args),
    });
  }

  private adopted(topic: ArrivalsArgs["systemTopic"]) {
    const { name, resourceGroupName } = topic as NonNullable<typeof topic>;
    const found = eventgrid.getSystemTopicOutput({ systemTopicName: name, resourceGroupName }, { parent: this });
    const principal = found.apply(({ name, identity }) => {
      if (!identity?.principalId) throw new SystemTopicWithoutIdentity(this.name, name);
      return identity.principalId;
    });
    return { name, id: found.id, principal };
  }

  private createSubscription(
    args: ArrivalsArgs,
    systemTopicName: pulumi.Input<string>,
    grants: Grants,
  ): eventgrid.SystemTopicEventSubscription {
    const { queue, deadLetters, container } = args;
    const identity = { type: "SystemAssigned" };
    return this.create(
      "subscription",
      eventgrid.SystemTopicEventSubscription,
      {
        resourceGroupName: args.systemTopic?.resourceGroupName ?? args.resourceGroupName,
        systemTopicName,
        eventDeliverySchema: "EventGridSchema",
        deliveryWithResourceIdentity: {
          identity,
          // -1: until it is read. Otherwise a message is gone after a week.
          destination: {
            endpointType: "StorageQueue",
            resourceId: queue.accountId,
            queueName: queue.name,
            queueMessageTimeToLiveInSeconds: -1,
          },
        },
        deadLetterWithResourceIdentity: {
          identity,
          deadLetterDestination: { endpointType: "StorageBlob", resourceId: deadLetters.accountId, blobContainerName: deadLetters.name },
        },
        retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1_440 },
        filter: {
          includedEventTypes: ["Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted"],
          subjectBeginsWith: pulumi.interpolate`/blobServices/default/containers/${container}/blobs/`,
          advancedFilters: [
            // Whole blobs only: a file system tells of one when it is begun, too.
            {
              operatorType: "StringIn",
              key: "data.api",
              values: ["PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "DeleteBlob", "DeleteFile"],
            },
          ],
        },
      },
      // Before it may send, Event Grid refuses the destination.
      { dependsOn: grants.all },
    );
  }
}

const principalOf = (identity: eventgrid.SystemTopic["identity"]) => identity.apply((identity) => identity?.principalId ?? "");
