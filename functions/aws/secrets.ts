import { GetSecretValueCommand, type SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

/** Milliseconds after which a changed secret is noticed. */
const FRESH = 5 * 60_000;

/** A secret, read when it is first asked for and then every five minutes; many who ask at once wait for one answer. */
export function secret(client: SecretsManagerClient, arn: string, now: () => number = Date.now): () => Promise<string> {
  let cached: { value: Promise<string>; until: number } | undefined;
  const read = async () => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }));
    if (!SecretString) throw new Error(`The secret ${arn} is empty.`);
    return SecretString;
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
