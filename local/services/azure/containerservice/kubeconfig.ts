import { readFile } from "node:fs/promises";
import { stringify } from "yaml";
import { TENANT } from "../../../kernel/azure/arm.js";
import { AKS_SERVER } from "../../../kernel/azure/clusters.js";

export interface Kubeconfig {
  name: string;
  /** base64 of the YAML. */
  value: string;
}

/** How a cluster is reached; `user` is what of `users[].user` opens it. */
export async function kubeconfig(
  { name, user, group, server, authority }: { name: string; user: string; group: string; server: string; authority: string },
  credential: Record<string, unknown>,
): Promise<Kubeconfig> {
  const certificate = (await readFile(authority)).toString("base64");
  const owner = `${user}_${group}_${name}`;
  const document = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": certificate } }],
    contexts: [{ name, context: { cluster: name, user: owner } }],
    "current-context": name,
    preferences: {},
    users: [{ name: owner, user: credential }],
  };
  return { name: user, value: Buffer.from(stringify(document)).toString("base64") };
}

/** What the service gives out for a cluster with Microsoft Entra: a person, a browser and a code are waited for. */
export const DEVICE_CODE = {
  exec: {
    apiVersion: "client.authentication.k8s.io/v1beta1",
    command: "kubelogin",
    args: [
      ...["get-token", "--login", "devicecode", "--server-id", AKS_SERVER, "--client-id", "80faf920-1908-4b52-b5ef-a8e7bedfc67a"],
      ...["--tenant-id", TENANT, "--environment", "AzurePublicCloud"],
    ],
    installHint: "\nkubelogin is not installed which is required to connect to AAD enabled cluster.\n",
    provideClusterInfo: false,
  },
};
