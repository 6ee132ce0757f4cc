import type { Properties } from "../../../kernel/service.js";

const CAPABILITIES = new Set(["NET_BIND_SERVICE"]);

/** What of a pod's specification the Pod Security Standard "restricted" forbids, in its own words. */
export function violations(spec: Properties): string[] {
  const found = new Map<string, string[]>();
  const say = (rule: string, container: string) => found.set(rule, [...(found.get(rule) ?? []), `"${container}"`]);
  const pod: Properties = spec.securityContext ?? {};
  for (const { name, securityContext = {} } of spec.containers as Properties[]) {
    const {
      allowPrivilegeEscalation,
      capabilities,
      privileged,
      runAsNonRoot = pod.runAsNonRoot,
      runAsUser = pod.runAsUser,
    } = securityContext;
    const seccomp = securityContext.seccompProfile?.type ?? pod.seccompProfile?.type;
    if (privileged) say("privileged: must not set securityContext.privileged=true", name);
    if (allowPrivilegeEscalation !== false)
      say("allowPrivilegeEscalation != false: must set securityContext.allowPrivilegeEscalation=false", name);
    const added: string[] = capabilities?.add ?? [];
    if (!(capabilities?.drop ?? []).includes("ALL") || added.some((one) => !CAPABILITIES.has(one))) {
      say('unrestricted capabilities: must set securityContext.capabilities.drop=["ALL"]', name);
    }
    if (runAsNonRoot !== true) say("runAsNonRoot != true: must set securityContext.runAsNonRoot=true", name);
    if (runAsUser === 0) say("runAsUser=0: must not set runAsUser=0", name);
    if (!["RuntimeDefault", "Localhost"].includes(seccomp))
      say('seccompProfile: must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"', name);
  }
  return [...found].map(([rule, containers]) => `${rule} (container ${containers.join(", ")})`);
}
