import type { ObjectStore } from "../ports.js";
import type { Arrival } from "./validate.js";

/**
 * The same arrival under another reading of its event's key, if there is an object of that name: clouds differ in how they spell keys in events,
 * and do not say what it will be tomorrow. To be asked when there is no object of the first reading.
 */
export async function underOtherKey(arrival: Arrival, key: string | undefined, uploads: ObjectStore): Promise<Arrival | undefined> {
  return key !== undefined && key !== arrival.key && (await uploads.head(key)) ? { ...arrival, key } : undefined;
}
