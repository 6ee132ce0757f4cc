declare module "dynalite" {
  import type { Server } from "node:http";
  /** DynamoDB's wire protocol over an in-memory store. Times in milliseconds. */
  export default function dynalite(options?: { createTableMs?: number; deleteTableMs?: number; updateTableMs?: number }): Server;
}
