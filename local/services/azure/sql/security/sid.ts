import { guidBytes } from "../types/convert.js";

/** The SID of a database user for an identity of Entra ID: its id in .NET's byte order, as hex. */
export function sidOf(id: string): string {
  return guidBytes(id).toString("hex").toUpperCase();
}
