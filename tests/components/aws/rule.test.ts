import assert from "node:assert/strict";
import { Rule, type RuleArgs } from "../../../components/aws/rule.js";
import { declared, recorded } from "../../declared.js";

const handler = { arn: "arn:aws:lambda:eu-west-1:123456789012:function:sweep", functionName: "sweep" };

describe("Rule", () => {
  it("invokes a handler by the clock, and gives a tick up after five minutes", async () => {
    assert.deepEqual(await declared(() => new Rule("sweep", { description: "Sweeps.", schedule: "rate(5 minutes)", handler })), {
      eventRule: { "sweep-rule": { description: "Sweeps.", scheduleExpression: "rate(5 minutes)", state: "ENABLED" } },
      permission: {
        "sweep-permission": {
          action: "lambda:InvokeFunction",
          function: "sweep",
          principal: "events.amazonaws.com",
          sourceArn: "arn:aws:events:eu-west-1:123456789012:rule/sweep-rule",
        },
      },
      eventTarget: {
        "sweep-target": {
          rule: "sweep-rule",
          arn: handler.arn,
          retryPolicy: { maximumRetryAttempts: 4, maximumEventAgeInSeconds: 300 },
        },
      },
    });
  });

  it("tries for a day to hand an event over, and then parks it", async () => {
    const pattern = '{"source":["aws.s3"]}';
    const { eventRule, eventTarget } = await declared(
      () => new Rule("deleted", { description: "Deleted.", pattern, handler, deadLetters: "arn:parked" }),
    );
    assert.deepEqual(eventRule["deleted-rule"], { description: "Deleted.", eventPattern: pattern, state: "ENABLED" });
    assert.deepEqual(eventTarget["deleted-target"], {
      rule: "deleted-rule",
      arn: handler.arn,
      deadLetterConfig: { arn: "arn:parked" },
      retryPolicy: { maximumRetryAttempts: 185, maximumEventAgeInSeconds: 86_400 },
    });
  });

  it("has its target only when it may invoke it", async () => {
    const resources = await recorded(() => new Rule("sweep", { description: "Sweeps.", schedule: "rate(5 minutes)", handler }));
    assert.deepEqual(resources.find(({ name }) => name === "sweep-target")?.after, ["sweep-permission", "sweep-rule"]);
  });

  it("has a pattern or a schedule, not both", () => {
    // @ts-expect-error both
    const both: RuleArgs = { description: "", pattern: "{}", schedule: "rate(1 minute)", handler };
    // @ts-expect-error neither
    const neither: RuleArgs = { description: "", handler };
    assert.ok(both && neither);
  });
});
