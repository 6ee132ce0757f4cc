import { GetSecretValueCommand, type SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { kept } from "../core/kept.js";

/** A secret, read when it is first asked for and then every five minutes. */
export function secret(client: SecretsManagerClient, arn: string, now: () => number = Date.now): () => Promise<string> {
  return kept(async () => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }));
    if (!SecretString) throw new Error(`The secret ${arn} is empty.`);
    return SecretString;
  }, now);
}
