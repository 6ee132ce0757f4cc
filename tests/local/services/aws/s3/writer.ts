import { Store } from "../../../../../local/services/aws/s3/store.js";

/** Overwrites one object again and again, telling its parent the sequencer of each write that is done, until it is killed. */
const [folder, bucket] = process.argv.slice(2) as [string, string];
const store = new Store(folder, () => new Date());
for (let round = 0; ; round++) {
  const body = Buffer.alloc(200_000 + round, round % 256);
  const { sequencer } = store.commit(bucket, "a", await store.stage(bucket, body), { headers: {}, metadata: {}, tags: {}, checksums: {} });
  process.send?.(sequencer);
}
