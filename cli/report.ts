import { styleText } from "node:util";
import type { Outcome } from "./product.js";

/** One readable block about what became of a photo. */
export function block(outcome: Outcome, out: NodeJS.WriteStream): string {
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    out.isTTY && !process.env.NO_COLOR ? styleText(format, text) : text;
  const { file, status, record, failure, took } = outcome;
  const lines = [`${style("bold", file)}  ${style(status === "completed" ? "green" : "yellow", status)} ${style("dim", `in ${took} ms`)}`];
  if (failure) lines.push(`${failure.code}: ${failure.message}`);
  if (record?.status === "completed") {
    lines.push(
      [
        `${record.width} × ${record.height} ${String(record.format).toUpperCase()}`,
        bytes(record.size ?? 0),
        record.colorSpace,
        record.hasAlpha ? "alpha" : "",
        (record.frames ?? 1) > 1 ? `${record.frames} frames` : "",
        (record.orientation ?? 1) > 1 ? `turned (EXIF ${record.orientation})` : "",
        record.dominantColor,
      ]
        .filter(Boolean)
        .join(" · "),
    );
    if (record.tags?.length) {
      lines.push(
        `labels      ${record.tags
          .slice(0, 5)
          .map((tag) => `${tag.name} ${Math.round(tag.confidence)} %`)
          .join(", ")}`,
      );
    }
    for (const { key, width, height, size } of record.variants ?? [])
      lines.push(`thumbnail   ${width} × ${height}, ${bytes(size)}  ${style("dim", key)}`);
  }
  return lines.map((line, index) => (index ? `    ${line}` : `  ${line}`)).join("\n");
}

function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  return size < 1_000_000 ? `${(size / 1_000).toFixed(1)} KB` : `${(size / 1_000_000).toFixed(1)} MB`;
}
