import { randomUUID } from "node:crypto";
import { type SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import type { ObjectInfo, Workflow } from "../core/ports.js";
import { arrivalOf, departureOf } from "./arrival.js";

/** The state machine. */
export class StepFunctionsWorkflow implements Workflow {
  constructor(
    private readonly client: SFNClient,
    private readonly stateMachineArn: string,
    /** Name of the bucket that images arrive in. */
    private readonly uploads: string,
  ) {}

  async redrive(object: ObjectInfo, events: readonly unknown[] = []): Promise<void> {
    const parked = events.find((event) => isAbout(event, object));
    const input = { ...(parked ?? createdEvent(object, this.uploads)), redrive: true };
    await this.client.send(new StartExecutionCommand({ stateMachineArn: this.stateMachineArn, input: JSON.stringify(input) }));
  }

  deletionIn(event: unknown): string | undefined {
    return attempt(() => departureOf(event))?.sequencer;
  }
}

/** Is this the event of the version that is there? A parked one may be of an older version, or of a deletion. */
function isAbout(event: unknown, object: ObjectInfo): event is object {
  const arrival = attempt(() => arrivalOf(event));
  return arrival?.key === object.key && arrival.etag === object.etag;
}

/** The event that S3 would have sent, but for the sequencer, which only S3 knows. */
function createdEvent({ key, size, etag, modifiedAt }: ObjectInfo, bucket: string): object {
  return {
    version: "0",
    id: randomUUID(),
    "detail-type": "Object Created",
    source: "aws.s3",
    time: modifiedAt,
    resources: [`arn:aws:s3:::${bucket}`],
    detail: { version: "0", bucket: { name: bucket }, object: { key, size, etag }, reason: "Redrive" },
  };
}

function attempt<Read>(read: () => Read): Read | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
