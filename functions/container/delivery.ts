import { type DequeuedMessageItem, type QueueClient, RestError } from "@azure/storage-queue";
import { decoded } from "../azure/queue-message.js";

/** Milliseconds before another renewal is tried when one has failed. */
const RENEW_AGAIN = 1_000;
/** Milliseconds that the queue has to answer at most: the SDK itself waits for ever, and whatever comes next would wait for that. */
const ANSWER = 30_000;

/** A message of the queue that this process has received: out of everybody else's sight as long as it is renewed. */
export class Delivery {
  private receipt: string;
  /** When others see the message again, if nothing is renewed any more. */
  private until: number;
  private state: "open" | "settled" | "lost" = "open";
  private timer: NodeJS.Timeout | undefined;
  /** The receipt changes with every renewal: one request at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  /** @param visibility Seconds, counted from `receivedAt`, that the message is out of sight. */
  constructor(
    private readonly queue: Pick<QueueClient, "updateMessage" | "deleteMessage">,
    private readonly item: Pick<DequeuedMessageItem, "messageId" | "popReceipt" | "messageText" | "dequeueCount">,
    private readonly visibility: number,
    receivedAt: number,
  ) {
    this.receipt = item.popReceipt;
    this.until = receivedAt + visibility * 1_000;
    this.renewIn((visibility * 1_000) / 3);
  }

  /** The same for every delivery of this message. */
  get id(): string {
    return this.item.messageId;
  }

  /** 1 when it is delivered for the first time. */
  get attempt(): number {
    return this.item.dequeueCount;
  }

  /** Its JSON, or its text where it is none. */
  get message(): unknown {
    return decoded(this.item.messageText);
  }

  /** Is it this process's still? Otherwise somebody else does what it asks for. */
  get held(): boolean {
    return this.state === "open" && Date.now() < this.until;
  }

  /** Deletes the message, as all is done. @returns whether it was held until then. */
  complete(): Promise<boolean> {
    return this.settle((options) => this.queue.deleteMessage(this.item.messageId, this.receipt, options));
  }

  /** Lets others see the message again after some seconds. @returns whether it was held until then. */
  release(seconds: number): Promise<boolean> {
    return this.settle((options) => this.queue.updateMessage(this.item.messageId, this.receipt, undefined, seconds, options));
  }

  /** Renews nothing any more: what has not been settled comes again by itself. */
  abandon(): void {
    clearTimeout(this.timer);
    if (this.state === "open") this.state = "lost";
  }

  private settle(work: (options: { abortSignal: AbortSignal }) => Promise<unknown>): Promise<boolean> {
    return this.next(async () => {
      if (this.state !== "open") return false;
      clearTimeout(this.timer);
      this.state = "settled";
      try {
        await work(this.bounded);
        return true;
      } catch (error) {
        if (!isRefused(error)) throw error;
        this.state = "lost";
        return false;
      }
    });
  }

  private renewIn(milliseconds: number): void {
    this.timer = setTimeout(() => void this.next(() => this.renew()), milliseconds);
  }

  private async renew(): Promise<void> {
    if (this.state !== "open") return;
    const since = Date.now();
    try {
      const { messageId } = this.item;
      const { popReceipt } = await this.queue.updateMessage(messageId, this.receipt, undefined, this.visibility, this.bounded);
      if (popReceipt === undefined) throw new Error("The renewed message has no receipt.");
      this.receipt = popReceipt;
      this.until = since + this.visibility * 1_000;
      this.renewIn((this.visibility * 1_000) / 3);
    } catch (error) {
      // Whoever has received it since does all again; what is stored twice is stored once.
      if (isRefused(error)) this.state = "lost";
      else this.renewIn(RENEW_AGAIN);
    }
  }

  /** So that there is time for another renewal when one is not answered. */
  private get bounded(): { abortSignal: AbortSignal } {
    return { abortSignal: AbortSignal.timeout(Math.min(ANSWER, Math.floor((this.visibility * 1_000) / 3))) };
  }

  private next<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {});
    return result;
  }
}

/** Does the queue say that the message is somebody else's, or gone? */
function isRefused(error: unknown): boolean {
  return error instanceof RestError && ["MessageNotFound", "PopReceiptMismatch"].includes(error.code ?? "");
}
