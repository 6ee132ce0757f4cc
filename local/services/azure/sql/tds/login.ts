import { ByteReader } from "./bytes.js";

/** LOGIN7, MS-TDS 2.2.6.4. */
export interface LoginRequest {
  packetSize: number;
  host: string;
  user: string;
  password: string;
  application: string;
  server: string;
  database: string;
  /** The client logs in with a token: it has one, or wants to be told where to get it. */
  federated?: { token?: string };
}

const EXTENSION = 0x10;
const FEDERATED = 2;
const END = 0xff;

/** @throws RangeError for what is no LOGIN7 */
export function readLogin(data: Buffer): LoginRequest {
  const text = (at: number): string => {
    const [offset, length] = [data.readUInt16LE(at), data.readUInt16LE(at + 2)];
    return new ByteReader(data, offset).take(length * 2).toString("utf16le");
  };
  const [passwordAt, passwordLength] = [data.readUInt16LE(44), data.readUInt16LE(46)];
  const scrambled = Buffer.from(new ByteReader(data, passwordAt).take(passwordLength * 2));
  const password = Buffer.from(scrambled.map((byte) => (((byte ^ 0xa5) >> 4) | ((byte ^ 0xa5) << 4)) & 255)).toString("utf16le");
  const login: LoginRequest = {
    packetSize: data.readUInt32LE(8),
    host: text(36),
    user: text(40),
    password,
    application: text(48),
    server: text(52),
    database: text(68),
  };
  if (!((data[27] ?? 0) & EXTENSION)) return login;
  const reader = new ByteReader(data, data.readUInt32LE(data.readUInt16LE(56)));
  for (let feature = reader.u8(); feature !== END; feature = reader.u8()) {
    const content = new ByteReader(reader.take(reader.u32()));
    if (feature !== FEDERATED) continue;
    const library = content.u8() >> 1;
    login.federated = library === 1 ? { token: content.take(content.u32()).toString("utf16le") } : {};
  }
  return login;
}

/** The token that a client sends after it was told where to get it. */
export function readToken(data: Buffer): string {
  const reader = new ByteReader(data);
  reader.u32();
  return reader.take(reader.u32()).toString("utf16le");
}
