import { CustomResource } from "@pulumi/kubernetes/apiextensions/index.js";
import type * as pulumi from "@pulumi/pulumi";
import { FRAME_BUDGET, type Settings } from "../../../functions/core/settings.js";
import { Component, type Transform } from "../../core/component.js";
import { type ClusterApi, KedaOperator, type KedaOperatorArgs } from "./cluster-api.js";
import type { Range } from "./options.js";
import {
  mebibytes,
  metadata,
  type Place,
  WORKLOAD_CHILDREN,
  Workload,
  type WorkloadArgs,
  type WorkloadTransform,
  workloadTransform,
} from "./workload.js";

/** Options of {@link Processor}. */
export interface ProcessorArgs extends Place, Pick<WorkloadArgs, "image" | "clientId" | "env"> {
  replicas: Required<Range>;
  /** Of pictures, by which its memory is measured. */
  limits: Settings["limits"];
  /** The queue that it works on. */
  queue: { name: pulumi.Input<string>; account: pulumi.Input<string> };
  /** Client id of the identity that counts the queue's messages. */
  scaler: pulumi.Input<string>;
  /** Where KEDA's operator is told of it. */
  api: ClusterApi;
  /** Changes to the resources underneath. */
  transform?:
    | (WorkloadTransform & {
        operator?: Transform<KedaOperatorArgs>;
        authentication?: Transform<CustomResourceArgs>;
        scaledObject?: Transform<CustomResourceArgs>;
      })
    | undefined;
}

type CustomResourceArgs = ConstructorParameters<typeof CustomResource>[1];

const APP = "processor";

/** Images that one works on at a time. */
const CONCURRENCY = 2;
/** Bytes that the program itself needs, and those of one picture's base, renditions and whatever is made on the way. */
const PROGRAM = 192 * 2 ** 20;
const RESULTS = 64 * 2 ** 20;

const KEDA = "keda.sh/v1alpha1";
const CHILDREN = ["operator", "authentication", "scaledObject", ...WORKLOAD_CHILDREN] as const;

/** What works on the queue, as many as its length asks for. */
export class Processor extends Component<(typeof CHILDREN)[number]> {
  /** The resources underneath. */
  readonly nodes: { workload: Workload; operator: KedaOperator; authentication: CustomResource; scaledObject: CustomResource };

  /** @param opts `after`: what has to be there before the pods start, and before messages are counted. */
  constructor(name: string, args: ProcessorArgs, opts: pulumi.ComponentResourceOptions & { after?: pulumi.Resource[] } = {}) {
    const { after = [], ...rest } = opts;
    super("azure:Processor", name, { children: CHILDREN, transform: args.transform }, rest);
    const workload = new Workload(
      name,
      {
        ...args,
        app: APP,
        program: "processor.mjs",
        serves: false,
        env: { ...args.env, CONCURRENCY: String(CONCURRENCY) },
        // A core for two, as they wait for others half of the time; a core for each, and memory for the largest, when it comes to that.
        resources: {
          requests: { cpu: "1", memory: "512Mi" },
          limits: { cpu: String(CONCURRENCY), memory: mebibytes(PROGRAM + CONCURRENCY * (FRAME_BUDGET + args.limits.bytes + RESULTS)) },
        },
        grace: 60,
        transform: workloadTransform(args.transform),
      },
      { ...this.child(), after },
    );
    const operator = this.create("operator", KedaOperator, { ...args.api, clientId: args.scaler }, { dependsOn: after });
    const authentication = this.create("authentication", CustomResource, {
      apiVersion: KEDA,
      kind: "TriggerAuthentication",
      metadata: metadata(args, APP),
      spec: { podIdentity: { provider: "azure-workload", identityId: args.scaler } },
    });
    const scaledObject = this.createScaledObject(args, workload, authentication, operator);
    this.nodes = { workload, operator, authentication, scaledObject };
    this.registerOutputs();
  }

  private createScaledObject(
    args: ProcessorArgs,
    { nodes }: Workload,
    authentication: CustomResource,
    operator: KedaOperator,
  ): CustomResource {
    const { queue, replicas } = args;
    return this.create(
      "scaledObject",
      CustomResource,
      {
        apiVersion: KEDA,
        kind: "ScaledObject",
        metadata: metadata(args, APP),
        spec: {
          scaleTargetRef: { name: nodes.deployment.metadata.name },
          minReplicaCount: replicas.min,
          maxReplicaCount: replicas.max,
          pollingInterval: 15,
          // From many to few goes by the autoscaler underneath; a cooldown period would be of the step to none, which there is not.
          advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: 120 } } } },
          triggers: [
            {
              type: "azure-queue",
              // Texts, all of them.
              metadata: { queueName: queue.name, accountName: queue.account, queueLength: "5", activationQueueLength: "0" },
              authenticationRef: { name: authentication.metadata.name },
            },
          ],
        },
      },
      // Without an identity, KEDA would count nothing, and say so in its own log only.
      { dependsOn: operator },
    );
  }
}
