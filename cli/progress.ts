import { basename } from "node:path";

/** What the progress display needs to know of a step; the engine's own events have it. */
export interface Step {
  type: "create" | "update" | "same" | "replace" | "delete" | "failed";
  name: string;
  resourceType: string;
  /** Of a deletion: it stays in the cloud, and is only forgotten. */
  retained?: true;
}

const SIGNS = { create: "+", update: "~", same: " ", replace: "±", delete: "-", failed: "✗" } as const;

/**
 * Shows how provisioning goes on: one moving line on a terminal, one line per change elsewhere (a log, CI).
 */
export class Progress {
  #count = 0;

  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly stack: string,
  ) {}

  step({ type, name, resourceType, retained }: Step): void {
    this.#count++;
    const line = `${SIGNS[type]} ${shortType(resourceType)}  ${name}${retained ? "  (retained: it stays in the cloud)" : ""}`;
    if (type === "failed") this.#print(line);
    else if (this.out.isTTY) this.#rewrite(`${this.stack}: ${this.#count} resources  ${line}`);
    else if (type !== "same") this.#print(line);
  }

  done(summary: string): void {
    if (this.out.isTTY) this.#rewrite("");
    this.#print(summary);
  }

  #rewrite(line: string): void {
    const width = (this.out.columns ?? 80) - 1;
    this.out.write(`\r\x1b[2K${line.length > width ? `${line.slice(0, width - 1)}…` : line}`);
  }

  #print(line: string): void {
    if (this.out.isTTY) this.out.write("\r\x1b[2K");
    this.out.write(`${line}\n`);
  }
}

/** `aws:s3/bucket:Bucket` → `s3.Bucket`. */
function shortType(token: string): string {
  const [, module = "", name = ""] = token.split(":");
  return name ? `${basename(module.split("/")[0] ?? "")}.${name}` : token;
}
