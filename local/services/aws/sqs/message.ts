import { createHash } from "node:crypto";
import { CloudError, type Properties } from "../../../kernel/service.js";

/** As it comes over the wire: binary values in base64. */
export interface MessageAttribute {
  DataType: string;
  StringValue?: string;
  BinaryValue?: string;
}

/** A message in a queue. Times are milliseconds since the epoch. */
export interface Message {
  id: string;
  body: string;
  attributes: Record<string, MessageAttribute>;
  senderId: string;
  sentAt: number;
  /** Nobody receives it before. */
  visibleAt: number;
  receiveCount: number;
  firstReceivedAt?: number;
  /** Of the latest receive; older ones still delete, as on AWS. */
  receipt?: string;
  /** ARN of the queue that it was moved from, when it is a dead letter. */
  deadLetterOf?: string;
}

export const md5 = (data: string | Buffer) => createHash("md5").update(data).digest("hex");

/** The digest that SDKs compare: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html */
export function md5OfAttributes(attributes: Record<string, MessageAttribute>): string | undefined {
  const names = Object.keys(attributes).sort();
  if (names.length === 0) return undefined;
  const digest = createHash("md5");
  const add = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    digest.update(length).update(bytes);
  };
  for (const name of names) {
    const { DataType, StringValue, BinaryValue } = attributes[name]!;
    add(Buffer.from(name));
    add(Buffer.from(DataType));
    const binary = DataType.startsWith("Binary");
    digest.update(Buffer.from([binary ? 2 : 1]));
    add(binary ? Buffer.from(BinaryValue ?? "", "base64") : Buffer.from(StringValue ?? ""));
  }
  return digest.digest("hex");
}

/** What SQS accepts as a message's body and attributes. @throws CloudError */
export function checkMessage(
  { MessageBody, MessageAttributes = {} }: Properties,
  maxSize: number,
): { body: string; attributes: Record<string, MessageAttribute> } {
  if (typeof MessageBody !== "string" || MessageBody === "") {
    throw new CloudError("MissingParameter", "The request must contain the parameter MessageBody.", 400);
  }
  // Only XML 1.0's characters travel: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
  if (/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(MessageBody)) {
    throw new CloudError(
      "InvalidMessageContents",
      "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
      400,
    );
  }
  const attributes = MessageAttributes as Record<string, MessageAttribute>;
  if (Object.keys(attributes).length > 10)
    throw new CloudError("InvalidParameterValue", "Number of message attributes exceeds the allowed maximum 10.", 400);
  let size = Buffer.byteLength(MessageBody);
  for (const [name, { DataType, StringValue, BinaryValue }] of Object.entries(attributes)) {
    if (!/^[\w.-]{1,256}$/.test(name)) throw invalidAttribute(name, "has a name of other characters than letters, digits and _.-");
    if (!/^(String|Number|Binary)(\..+)?$/.test(DataType ?? ""))
      throw invalidAttribute(name, `has the DataType ${DataType}; it must be String, Number or Binary`);
    const value = DataType.startsWith("Binary") ? BinaryValue : StringValue;
    if (typeof value !== "string" || value === "") throw invalidAttribute(name, `has no value of its type ${DataType}`);
    size +=
      Buffer.byteLength(name) +
      Buffer.byteLength(DataType) +
      (DataType.startsWith("Binary") ? Buffer.from(value, "base64").length : Buffer.byteLength(value));
  }
  if (size > maxSize) {
    throw new CloudError(
      "InvalidParameterValue",
      `One or more parameters are invalid. Reason: Message must be shorter than ${maxSize} bytes.`,
      400,
    );
  }
  return { body: MessageBody, attributes };
}

function invalidAttribute(name: string, why: string): CloudError {
  return new CloudError("InvalidParameterValue", `The message attribute '${name}' ${why}.`, 400);
}
