import type { ResourceState } from "../../local/index.js";
import { CloudError, type Service } from "../../local/kernel/service.js";

const KUBECONFIG = "azure-native:containerservice:listManagedClusterUserCredentials";

/**
 * The services as they are where the state was made: their cluster's API is at its old address, and has in it what the state says. Nothing runs there,
 * as nothing is carried out.
 */
export function asDeployed(services: readonly Service[], resources: readonly ResourceState[]): Service[] {
  const config = kubeconfigOf(resources);
  const objects = resources.filter(({ type }) => type.startsWith("kubernetes:"));
  return services.map((service) => {
    if (service.api && service.name === "kubernetes")
      return { ...service, api: { ...service.api, operations: holding(service.api, objects) } };
    if (config && service.functions?.[KUBECONFIG]) {
      const kubeconfigs = [{ name: "clusterUser", value: Buffer.from(config).toString("base64") }];
      const functions = { ...service.functions, [KUBECONFIG]: async () => ({ kubeconfigs }) };
      return { ...service, functions };
    }
    return service;
  });
}

/** Operations of a cluster that has these objects in it. */
function holding({ operations }: NonNullable<Service["api"]>, objects: readonly ResourceState[]): typeof operations {
  return {
    ...operations,
    Get: {
      needs: () => [],
      async handle({ kind, namespace, name }) {
        const found = objects.find(
          ({ inputs, outputs: { metadata } }) => inputs.kind === kind && metadata.namespace === namespace && metadata.name === name,
        );
        if (!found) throw new CloudError("NotFound", `${kind} "${name}" not found`, 404);
        return found.outputs;
      },
    },
  };
}

/** By what the state's cluster was opened, but for the token, which was a secret. `undefined` without one. */
export function kubeconfigOf(resources: readonly ResourceState[]): string | undefined {
  const access = resources.find(({ type }) => type.endsWith(":ClusterAccess"));
  if (!access) return undefined;
  const { server, certificateAuthority } = access.inputs;
  return JSON.stringify({
    clusters: [{ name: "cluster", cluster: { server, "certificate-authority-data": certificateAuthority } }],
    users: [{ name: "deployer", user: { token: "[secret]" } }],
    contexts: [{ name: "cluster", context: { cluster: "cluster", user: "deployer" } }],
    "current-context": "cluster",
  });
}
