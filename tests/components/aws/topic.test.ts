import assert from "node:assert/strict";
import { Topic } from "../../../components/aws/topic.js";
import { declared } from "../../declared.js";

const ARN = "arn:aws:sns:eu-west-1:123456789012:results-topic";
const TLS_ONLY = {
  Sid: "TlsOnly",
  Effect: "Deny",
  Principal: "*",
  Action: "sns:Publish",
  Resource: [ARN],
  Condition: { Bool: { "aws:SecureTransport": "false" } },
};

describe("Topic", () => {
  it("takes messages by TLS only, and tells nobody by itself", async () => {
    assert.deepEqual(await declared(() => new Topic("results")), {
      topic: { "results-topic": {} },
      topicPolicy: { "results-policy": { arn: ARN, policy: { Version: "2012-10-17", Statement: [TLS_ONLY] } } },
    });
  });

  it("sends everything to an address", async () => {
    const { topicSubscription } = await declared(() => new Topic("results", { email: "ops@example.org" }));
    assert.deepEqual(topicSubscription, { "results-email": { topic: ARN, protocol: "email", endpoint: "ops@example.org" } });
  });

  it("lets the alarms of one account in", async () => {
    const { topicPolicy } = await declared(() => new Topic("results", { alarmsOf: "123456789012" }));
    assert.deepEqual(topicPolicy["results-policy"].policy.Statement, [
      TLS_ONLY,
      {
        Sid: "Alarms",
        Effect: "Allow",
        Principal: { Service: "cloudwatch.amazonaws.com" },
        Action: "sns:Publish",
        Resource: ARN,
        Condition: { StringEquals: { "aws:SourceAccount": "123456789012" } },
      },
    ]);
  });
});
