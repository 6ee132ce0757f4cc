import { PublishCommand, type SNSClient } from "@aws-sdk/client-sns";
import type { Notification } from "../core/stages/store-results.js";

/** Announces a result as the workflow does by itself. */
export async function announce(client: SNSClient, topic: string, { status, subject, message }: Notification): Promise<void> {
  const MessageAttributes = { status: { DataType: "String", StringValue: status } };
  await client.send(new PublishCommand({ TopicArn: topic, Subject: subject, Message: message, MessageAttributes }));
}
