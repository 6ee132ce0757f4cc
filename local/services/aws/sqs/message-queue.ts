import { randomBytes, randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { CloudError } from "../../../kernel/service.js";
import type { Message, MessageAttribute } from "./message.js";

/** A queue's settings, as declared. Times are seconds. */
export interface QueueSettings {
  visibilityTimeout: number;
  delay: number;
  receiveWait: number;
  retention: number;
  maxMessageSize: number;
  redrive?: { deadLetterTargetArn: string; maxReceiveCount: number };
}

/** Milliseconds that changes may wait before they are written. */
const WRITE_DELAY = 20;

/**
 * The messages of one queue, in memory and in a file. A receive hides messages for a while; whoever waits for one is woken by a send,
 * or when a hidden one shows again.
 */
export class MessageQueue {
  settings: QueueSettings;
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  readonly #file: string;
  readonly #now: () => number;
  readonly #changed: () => void;
  readonly #waiting = new Set<() => void>();
  #messages: Message[] = [];
  #writing: Promise<void> = Promise.resolve();
  #writeTimer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param changed is called after every change in what can be received */
  constructor(of: { name: string; arn: string; file: string; settings: QueueSettings; now: () => number; changed: () => void }) {
    this.name = of.name;
    this.arn = of.arn;
    this.settings = of.settings;
    this.#file = of.file;
    this.#now = of.now;
    this.#changed = of.changed;
    this.createdAt = of.now();
  }

  async load(): Promise<void> {
    const text = await readFile(this.#file, "utf8").catch(() => "[]");
    this.#messages = JSON.parse(text) as Message[];
  }

  send(
    content: { body: string; attributes: Record<string, MessageAttribute> },
    { senderId, delay = this.settings.delay }: { senderId: string; delay?: number },
  ): Message {
    const now = this.#now();
    const message: Message = { id: randomUUID(), ...content, senderId, sentAt: now, visibleAt: now + delay * 1_000, receiveCount: 0 };
    this.#messages.push(message);
    this.#touch();
    return message;
  }

  /** Takes in a message of another queue that could not be processed: it keeps its id, and the time that it was sent. */
  take(message: Message, from: string): void {
    const { receipt: _receipt, firstReceivedAt: _first, ...rest } = message;
    this.#messages.push({ ...rest, deadLetterOf: from, visibleAt: this.#now(), receiveCount: 0 });
    this.#touch();
  }

  /**
   * Up to `count` messages, waiting up to `wait` seconds for the first.
   *
   * @param park is given messages that have been received too often.
   */
  async receive(
    { count, wait, visibility }: { count: number; wait: number; visibility: number },
    park: (message: Message) => boolean,
  ): Promise<Message[]> {
    const deadline = Date.now() + wait * 1_000;
    for (;;) {
      const received = this.#receiveNow(count, visibility, park);
      const left = deadline - Date.now();
      if (received.length > 0 || left <= 0 || this.#closed) return received;
      await this.#somethingShows(left);
    }
  }

  delete(receipt: string): void {
    const id = messageOf(receipt);
    const before = this.#messages.length;
    this.#messages = this.#messages.filter((message) => message.id !== id);
    if (this.#messages.length !== before) this.#touch();
  }

  /** Shows a received message again after `timeout` seconds from now. @throws CloudError when it is not in flight */
  changeVisibility(receipt: string, timeout: number): void {
    const id = messageOf(receipt);
    const message = this.#messages.find((candidate) => candidate.id === id);
    if (!message || message.receipt !== receipt || message.visibleAt <= this.#now()) {
      const reason = message
        ? "Message is not available for visibility timeout change."
        : "Message does not exist or is not available for visibility timeout change.";
      throw new CloudError(
        message ? "MessageNotInflight" : "InvalidParameterValue",
        `Value ${receipt} for parameter ReceiptHandle is invalid. Reason: ${reason}`,
        400,
      );
    }
    message.visibleAt = this.#now() + timeout * 1_000;
    this.#touch();
  }

  purge(): void {
    this.#messages = [];
    this.#touch();
  }

  counts(): { visible: number; inFlight: number; delayed: number } {
    this.#expire();
    const now = this.#now();
    const hidden = this.#messages.filter(({ visibleAt }) => visibleAt > now);
    const inFlight = hidden.filter(({ receiveCount }) => receiveCount > 0).length;
    return { visible: this.#messages.length - hidden.length, inFlight, delayed: hidden.length - inFlight };
  }

  /** Stops waiting and writes what is unwritten. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    if (this.#writeTimer) this.#write();
    await this.#writing;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.#file, { force: true });
  }

  #receiveNow(count: number, visibility: number, park: (message: Message) => boolean): Message[] {
    this.#expire();
    const now = this.#now();
    const limit = this.settings.redrive?.maxReceiveCount ?? Number.POSITIVE_INFINITY;
    const received: Message[] = [];
    for (const message of [...this.#messages]) {
      if (received.length === count) break;
      if (message.visibleAt > now) continue;
      if (message.receiveCount >= limit && park(message)) {
        this.#messages.splice(this.#messages.indexOf(message), 1);
        this.#touch();
        continue;
      }
      message.visibleAt = now + visibility * 1_000;
      message.receiveCount++;
      message.firstReceivedAt ??= now;
      message.receipt = `${message.id}#${randomBytes(24).toString("base64")}`;
      received.push({ ...message });
    }
    if (received.length > 0) this.#touch();
    return received;
  }

  /** Resolves on the next change, when a hidden message shows, or after `left` milliseconds. */
  async #somethingShows(left: number): Promise<void> {
    const now = this.#now();
    const next = Math.min(...this.#messages.map(({ visibleAt }) => visibleAt - now), left);
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(next, 1));
      this.#waiting.add(wake);
    });
  }

  #expire(): void {
    const oldest = this.#now() - this.settings.retention * 1_000;
    if (this.#messages.some(({ sentAt }) => sentAt < oldest)) {
      this.#messages = this.#messages.filter(({ sentAt }) => sentAt >= oldest);
      this.#touch();
    }
  }

  #touch(): void {
    this.#wake();
    this.#changed();
    this.#writeTimer ??= setTimeout(() => this.#write(), WRITE_DELAY).unref();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #write(): void {
    clearTimeout(this.#writeTimer);
    this.#writeTimer = undefined;
    const content = JSON.stringify(this.#messages);
    this.#writing = this.#writing.then(async () => {
      await writeFile(`${this.#file}.new`, content);
      await rename(`${this.#file}.new`, this.#file);
    });
    this.#writing.catch(() => {});
  }
}

/** Receipt handles begin with the message's id, so that one of an earlier receive still names its message. */
function messageOf(receipt: unknown): string {
  const [id, secret] = typeof receipt === "string" ? receipt.split("#") : [];
  if (!id || !secret)
    throw new CloudError("ReceiptHandleIsInvalid", `The input receipt handle "${receipt}" is not a valid receipt handle.`, 400);
  return id;
}
