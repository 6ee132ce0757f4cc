import { GetParameterCommand, type SSMClient } from "@aws-sdk/client-ssm";

/** Milliseconds after which a changed secret is noticed. */
const FRESH = 5 * 60_000;

/** A secret in the parameter store, read when it is first asked for and then every five minutes; many who ask at once wait for one answer. */
export function secret(client: SSMClient, name: string, now: () => number = Date.now): () => Promise<string> {
  let cached: { value: Promise<string>; until: number } | undefined;
  const read = async () => {
    const { Parameter } = await client.send(new GetParameterCommand({ Name: name, WithDecryption: true }));
    if (!Parameter?.Value) throw new Error(`The parameter ${name} is empty.`);
    return Parameter.Value;
  };
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
