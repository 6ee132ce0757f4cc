import { createHash } from "node:crypto";
import { ImageRecord } from "../core/record.js";
import type { Notification } from "../core/stages/store-results.js";
import { troubleIn } from "./outcomes.js";
import { type Call, ServiceError } from "./rest.js";

/** Where results are announced. */
export interface Notifier {
  announce(notification: Notification): Promise<void>;
}

/** An Event Grid topic of one's own: CloudEvents whose `data` is the record, with the attribute `status` to filter by. */
export class TopicNotifier implements Notifier {
  constructor(
    private readonly call: Call,
    /** `https://….eventgrid.azure.net/api/events` */
    private readonly endpoint: string,
  ) {}

  async announce({ status, message }: Notification): Promise<void> {
    const record = ImageRecord.parse(JSON.parse(message));
    const event = {
      specversion: "1.0",
      id: idOf(record),
      source: "/image-pipeline",
      type: status === "completed" ? "ImagePipeline.ImageCompleted" : "ImagePipeline.ImageFailed",
      subject: record.key,
      time: record.processedAt ?? record.uploadedAt,
      datacontenttype: "application/json",
      status,
      data: record,
    };
    const url = new URL(this.endpoint);
    url.searchParams.set("api-version", "2018-01-01");
    await this.call(url, {
      method: "POST",
      contentType: "application/cloudevents-batch+json; charset=utf-8",
      body: JSON.stringify([event]),
    });
  }
}

/** The same when a result is sent again, so that a subscriber can tell: even when somebody has said meanwhile whose image it is. */
function idOf({ key, status, uploadedAt, processedAt }: ImageRecord): string {
  const identity = JSON.stringify([key, status, uploadedAt, processedAt]);
  return createHash("sha256").update(identity).digest("hex").slice(0, 32);
}

/**
 * Mails by Communication Services, as long as these take them: 30 a minute and 100 an hour, at first. A mail that is refused is one mail less, which
 * the log tells of; the topic tells of every result.
 */
export class MailNotifier implements Notifier {
  constructor(
    private readonly call: Call,
    private readonly mail: { endpoint: string; sender: string; recipient: string },
  ) {}

  async announce(notification: Notification): Promise<void> {
    try {
      await this.send(notification);
    } catch (error) {
      const { code, message } = troubleIn(error);
      const isRate = error instanceof ServiceError && error.status === 429;
      // More results than mails are nobody's failure; a role that is missing, say, is to ring.
      console[isRate ? "warn" : "error"](
        JSON.stringify({ level: isRate ? "warn" : "error", message: "mail not sent", code, error: message }),
      );
    }
  }

  private async send({ subject, message }: Notification): Promise<void> {
    const { endpoint, sender, recipient } = this.mail;
    await this.call(new URL("/emails:send?api-version=2023-03-31", endpoint), {
      method: "POST",
      contentType: "application/json",
      body: JSON.stringify({
        senderAddress: sender,
        recipients: { to: [{ address: recipient }] },
        content: { subject, plainText: message },
      }),
    });
  }
}
