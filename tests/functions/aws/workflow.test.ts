import assert from "node:assert/strict";
import { DescribeExecutionCommand, ListExecutionsCommand, SFNClient } from "@aws-sdk/client-sfn";
import { arrivalOf } from "../../../functions/aws/arrival.js";
import { StepFunctionsWorkflow } from "../../../functions/aws/workflow.js";
import iam from "../../../local/services/aws/iam.js";
import states from "../../../local/services/aws/states/index.js";
import { type TestCloud, testCloud } from "../../local/cloud.js";

const OBJECT = {
  key: "uploads/cat ä.png",
  size: 5,
  etag: "new",
  contentType: "image/png",
  modifiedAt: "2026-11-21T12:00:00.000Z",
};

const event = (etag: string, type = "Object Created", key = OBJECT.key) => ({
  "detail-type": type,
  time: "2026-11-20T12:00:00Z",
  detail: { bucket: { name: "photos" }, object: { key, size: 5, etag, sequencer: "0055" } },
});

describe("A redrive", () => {
  let cloud: TestCloud;
  let client: SFNClient;
  let arn: string;

  before(async () => {
    cloud = await testCloud([iam(), states()]);
    client = new SFNClient(cloud.client());
    const trust = [{ Effect: "Allow", Principal: { Service: "states.amazonaws.com" }, Action: "sts:AssumeRole" }];
    const assumeRolePolicy = JSON.stringify({ Version: "2012-10-17", Statement: trust });
    const role = await cloud.declare("aws:iam/role:Role", "role", { assumeRolePolicy });
    const definition = JSON.stringify({ StartAt: "Done", States: { Done: { Type: "Succeed" } } });
    const machine = { type: "STANDARD", roleArn: role.outputs.arn, definition };
    arn = (await cloud.declare("aws:sfn/stateMachine:StateMachine", "machine", machine)).id;
  });
  after(async () => {
    client.destroy();
    await cloud.stop();
  });

  /** The input of the execution that this redrive starts. */
  const started = async (...parked: unknown[]) => {
    const executions = async () => (await client.send(new ListExecutionsCommand({ stateMachineArn: arn }))).executions ?? [];
    const before = new Set((await executions()).map(({ executionArn }) => executionArn));
    await new StepFunctionsWorkflow(client, arn, "photos").redrive(OBJECT, parked);
    const [execution, ...others] = (await executions()).filter(({ executionArn }) => !before.has(executionArn));
    assert.deepEqual(others, []);
    const { input = "" } = await client.send(new DescribeExecutionCommand({ executionArn: execution?.executionArn }));
    return JSON.parse(input);
  };

  it("starts the workflow with the parked event as it was, marked as a redrive", async () => {
    assert.deepEqual(await started(event("new")), { ...event("new"), redrive: true });
    assert.deepEqual(await started(event("new", "Object Deleted"), event("new")), { ...event("new"), redrive: true });
  });

  it("tells a deletion, and when in the order of events it came, from what else is parked", () => {
    const { deletionIn } = StepFunctionsWorkflow.prototype;
    assert.deepEqual([event("x", "Object Deleted"), event("x"), null, "text"].map(deletionIn), [
      event("x").detail.object.sequencer,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("makes an event of the object where the parked one is lost, of another version, of another object or of a deletion", async () => {
    for (const parked of [
      undefined,
      null,
      "text",
      {},
      event("old"),
      event("new", "Object Deleted"),
      event("new", undefined, "uploads/dog.png"),
    ]) {
      const input = await started(parked);
      assert.deepEqual(
        arrivalOf(input),
        { key: OBJECT.key, sequencer: "", etag: "new", size: 5, at: OBJECT.modifiedAt, redrive: true },
        JSON.stringify(parked),
      );
      assert.equal(input.detail.bucket.name, "photos");
    }
  });
});
