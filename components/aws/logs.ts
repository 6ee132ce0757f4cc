import { type Duration, seconds } from "../core/units.js";

/** The days that CloudWatch Logs can be told to keep. */
const RETENTIONS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/** Days for `retentionInDays`: the shortest that CloudWatch offers and that keeps at least `retention`. */
export function retentionInDays(retention: Duration, of: string): number {
  const days = seconds(retention, { of, min: "1 day", max: "3650 days" }) / 86_400;
  return Math.min(...RETENTIONS.filter((offered) => offered >= days));
}
