import { createHash } from "node:crypto";
import { ImageRecord } from "../core/record.js";
import type { Notification } from "../core/stages/store-results.js";
import type { Call } from "./rest.js";

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

/** Mails by Communication Services. */
export class MailNotifier implements Notifier {
  constructor(
    private readonly call: Call,
    private readonly mail: { endpoint: string; sender: string; recipient: string },
  ) {}

  async announce({ subject, message }: Notification): Promise<void> {
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
