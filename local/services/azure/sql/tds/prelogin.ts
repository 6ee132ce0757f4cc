import { ByteWriter } from "./bytes.js";

const ENCRYPTION = 1;
const FEDERATED = 6;
const END = 0xff;

export interface Prelogin {
  /** What the client wants: 0 off, 1 on, 2 not supported, 3 required. */
  encryption: number;
  /** It may log in with a token. */
  federated: boolean;
}

export function readPrelogin(data: Buffer): Prelogin {
  const found: Prelogin = { encryption: 2, federated: false };
  for (let at = 0; at + 4 < data.length && data[at] !== END; at += 5) {
    const [option, offset] = [data[at], data.readUInt16BE(at + 1)];
    if (option === ENCRYPTION) found.encryption = data[offset] ?? 2;
    if (option === FEDERATED) found.federated = true;
  }
  return found;
}

export const wantsEncryption = ({ encryption }: Prelogin): boolean => encryption === 1 || encryption === 3;

export function writePrelogin({ encrypted, federated }: { encrypted: boolean; federated: boolean }): Buffer {
  const options: [number, Buffer][] = [
    [0, Buffer.from([12, 0, 7, 208, 0, 0])],
    [ENCRYPTION, Buffer.from([encrypted ? 1 : 2])],
    [2, Buffer.from([0])],
    [3, Buffer.alloc(0)],
    [4, Buffer.from([0])],
    ...(federated ? [[FEDERATED, Buffer.from([1])] as [number, Buffer]] : []),
  ];
  const out = new ByteWriter();
  let offset = options.length * 5 + 1;
  for (const [option, value] of options) {
    out.u8(option, offset >> 8, offset & 255, value.length >> 8, value.length & 255);
    offset += value.length;
  }
  out.u8(END);
  for (const [, value] of options) out.bytes(value);
  return out.take();
}
