/** Milliseconds after which a change is noticed. */
const FRESH = 5 * 60_000;

/** What is read when it is first asked for, and then every five minutes; many who ask at once wait for one answer, and what failed is read again. */
export function kept<Value>(read: () => Promise<Value>, now: () => number = Date.now): () => Promise<Value> {
  let cached: { value: Promise<Value>; until: number } | undefined;
  return () => {
    if (cached && now() < cached.until) return cached.value;
    const fresh = { value: read(), until: now() + FRESH };
    fresh.value.catch(() => {
      if (cached === fresh) cached = undefined;
    });
    cached = fresh;
    return fresh.value;
  };
}
