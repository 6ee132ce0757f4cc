import type { Properties } from "../../../kernel/service.js";
import { type KubernetesObject, selects } from "./objects.js";

/** Where somebody is who wants to reach a pod. Its own node always may: probes do. */
export type Origin = "inside" | "outside";

/** What of a pod policies look at. */
export interface Reached {
  namespace: string;
  labels: Record<string, string>;
  port: { name?: string; containerPort: number };
}

/** Do policies let somebody at a pod's port? A pod that none of them selects is open to everybody; otherwise one of them has to say so. */
export function admits(policies: readonly KubernetesObject[], { namespace, labels, port }: Reached, origin: Origin): boolean {
  const isolating = policies.filter(({ metadata, spec }) => {
    const { matchLabels = {} } = spec.podSelector;
    return metadata.namespace === namespace && (Object.keys(matchLabels).length === 0 || selects(matchLabels, labels));
  });
  if (isolating.length === 0) return true;
  const rules = isolating.flatMap(({ spec }) => (spec.ingress ?? []) as Properties[]);
  return rules.some(({ ports = [], from = [] }) => {
    const at = ports.length === 0 || (ports as Properties[]).some((one) => isAt(one, port));
    return at && (from.length === 0 || (from as Properties[]).some(({ ipBlock }) => ipBlock !== undefined || origin === "inside"));
  });
}

function isAt({ port, endPort = port }: Properties, { name, containerPort }: Reached["port"]): boolean {
  if (port === undefined) return true;
  return typeof port === "string" && Number.isNaN(Number(port))
    ? port === name
    : containerPort >= Number(port) && containerPort <= Number(endPort);
}
