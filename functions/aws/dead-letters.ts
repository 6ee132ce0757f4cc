import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { z } from "zod";
import type { DeadLetter, DeadLetters } from "../core/ports.js";
import { messageOf } from "./refusals.js";

/** Seconds that a message is out of others' sight while one reader walks the queue; what a reader forgets comes back after them. */
const OUT_OF_SIGHT = 30;
/** Milliseconds that one walk may take, within `OUT_OF_SIGHT` and an API call. */
const WALK = 20_000;
const PER_BATCH = 10;

/** What the workflow, the sweep and the API park. */
const Parked = z.object({
  key: z.string(),
  event: z.unknown(),
  error: z.object({ code: z.string(), message: z.string() }),
  at: z.string(),
});

/** What EventBridge could not deliver: the event itself. */
const Undelivered = z.looseObject({ time: z.string(), detail: z.looseObject({ object: z.looseObject({ key: z.string() }) }) });

/**
 * Dead letters in a queue of SQS.
 *
 * A queue can only be read by taking messages out of sight, so that is what `list` does, and puts them back at once. Nothing is lost: a reader that
 * dies leaves its messages to reappear. Of two readers at the same moment, each may see only a part.
 */
export class SqsDeadLetters implements DeadLetters {
  constructor(
    private readonly client: SQSClient,
    private readonly url: string,
  ) {}

  async list(limit: number): Promise<DeadLetter[]> {
    const seen: Message[] = [];
    try {
      for await (const messages of this.walk()) if (seen.push(...messages) >= limit) break;
    } finally {
      await this.putBack(seen);
    }
    return seen.slice(0, limit).map(letterOf);
  }

  async take(key: string): Promise<DeadLetter[]> {
    const [wanted, others]: [Message[], Message[]] = [[], []];
    const taken: Message[] = [];
    try {
      for await (const messages of this.walk())
        for (const message of messages) (letterOf(message).key === key ? wanted : others).push(message);
      for (const batch of batches(wanted)) taken.push(...(await this.remove(batch)));
    } catch (error) {
      // What has been taken by now is the caller's alone.
      if (taken.length === 0) throw error;
    } finally {
      await this.putBack([...others, ...wanted.filter((message) => !taken.includes(message))]);
    }
    return taken.map(letterOf);
  }

  async park(letter: DeadLetter): Promise<void> {
    await this.client.send(new SendMessageCommand({ QueueUrl: this.url, MessageBody: JSON.stringify(letter) }));
  }

  /** All messages, each once, until a look at every one of the queue's servers finds none. */
  private async *walk(): AsyncGenerator<Message[]> {
    for (const end = Date.now() + WALK; Date.now() < end; ) {
      const { Messages = [] } = await this.client.send(
        new ReceiveMessageCommand({
          QueueUrl: this.url,
          MaxNumberOfMessages: PER_BATCH,
          VisibilityTimeout: OUT_OF_SIGHT,
          // Without waiting, only some of the servers are asked.
          WaitTimeSeconds: 1,
          MessageAttributeNames: ["All"],
          MessageSystemAttributeNames: ["SentTimestamp"],
        }),
      );
      if (Messages.length === 0) return;
      yield Messages;
    }
  }

  private async putBack(messages: readonly Message[]): Promise<void> {
    for (const batch of batches(messages)) {
      const Entries = batch.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle, VisibilityTimeout: 0 }));
      // One that fails comes back by itself, a little later.
      await this.client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.url, Entries }));
    }
  }

  /** @returns those that are gone. */
  private async remove(batch: readonly Message[]): Promise<Message[]> {
    const Entries = batch.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle }));
    const { Successful = [], Failed = [] } = await this.client.send(new DeleteMessageBatchCommand({ QueueUrl: this.url, Entries }));
    const [failed] = Failed;
    if (Successful.length === 0 && failed)
      throw Object.assign(new Error(`A dead letter could not be taken: ${failed.Message}`), { name: failed.Code });
    return batch.filter((_, i) => Successful.some(({ Id }) => Id === String(i)));
  }
}

function letterOf({ Body = "", MessageAttributes, Attributes }: Message): DeadLetter {
  const sentAt = new Date(Number(Attributes?.SentTimestamp ?? 0)).toISOString();
  const body = parsed(Body);
  const parked = Parked.safeParse(body);
  if (parked.success) {
    const { key, event, error, at } = parked.data;
    return { key, event, error: { code: error.code, message: messageOf(error.message) }, at };
  }
  const undelivered = Undelivered.safeParse(body);
  const code = MessageAttributes?.ERROR_CODE?.StringValue ?? (undelivered.success ? "UNDELIVERED" : "UNREADABLE");
  const message = MessageAttributes?.ERROR_MESSAGE?.StringValue ?? "The message says nothing of why it is here.";
  return { key: undelivered.success ? undelivered.data.detail.object.key : "", event: body, error: { code, message }, at: sentAt };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

function batches<Item>(items: readonly Item[]): Item[][] {
  return Array.from({ length: Math.ceil(items.length / PER_BATCH) }, (_, i) => items.slice(i * PER_BATCH, (i + 1) * PER_BATCH));
}
