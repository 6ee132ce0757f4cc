import type { Properties } from "../../../kernel/service.js";
import type { KubernetesObject } from "./objects.js";
import { quantity } from "./quantity.js";

/** What is declared cannot be had: the container waits, and is tried again. */
export class ContainerConfigError extends Error {
  override readonly name = "CreateContainerConfigError";
}

/** Objects of the pod's namespace. */
export type Lookup = (kind: "Secret" | "ConfigMap", name: string) => KubernetesObject | undefined;

/** What a pod knows about itself, for `fieldRef`. */
export interface PodFields {
  name: string;
  namespace: string;
  uid: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  serviceAccount: string;
}

/**
 * The variables that a container declares, on top of those of its image: `envFrom` first, then `env`, where `$(NAME)` stands for one before.
 *
 * @throws ContainerConfigError for a Secret, a ConfigMap or a key that is not there, and not optional
 */
export function variablesOf(container: Properties, image: Record<string, string>, pod: PodFields, lookup: Lookup): Record<string, string> {
  const variables: Record<string, string> = { ...image };
  for (const { prefix = "", configMapRef, secretRef } of (container.envFrom ?? []) as Properties[]) {
    const { name, optional = false } = configMapRef ?? secretRef;
    const values = valuesOf(lookup, configMapRef ? "ConfigMap" : "Secret", name, optional);
    for (const [key, value] of Object.entries(values ?? {})) variables[`${prefix}${key}`] = value;
  }
  for (const { name, value, valueFrom } of (container.env ?? []) as Properties[]) {
    const given = valueFrom ? fromSource(valueFrom, container, pod, lookup) : substituted(String(value ?? ""), variables);
    if (given !== undefined) variables[name] = given;
  }
  return variables;
}

function fromSource(
  { secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef }: Properties,
  container: Properties,
  pod: PodFields,
  lookup: Lookup,
): string | undefined {
  if (fieldRef) return fieldOf(fieldRef.fieldPath, pod);
  if (resourceFieldRef) return resourceOf(resourceFieldRef, container);
  const { name, key, optional = false } = secretKeyRef ?? configMapKeyRef;
  const kind = secretKeyRef ? "Secret" : "ConfigMap";
  const value = valuesOf(lookup, kind, name, optional)?.[key];
  if (value === undefined && !optional) throw new ContainerConfigError(`couldn't find key ${key} in ${kind} ${pod.namespace}/${name}`);
  return value;
}

/** The texts of a Secret or a ConfigMap. */
function valuesOf(lookup: Lookup, kind: "Secret" | "ConfigMap", name: string, optional: boolean): Record<string, string> | undefined {
  const found = lookup(kind, name);
  if (!found && !optional) throw new ContainerConfigError(`${kind.toLowerCase()} "${name}" not found`);
  if (!found || kind === "ConfigMap") return found?.data;
  const decoded = Object.entries<string>(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
  return { ...Object.fromEntries(decoded), ...found.stringData };
}

function fieldOf(path: string, pod: PodFields): string {
  const [, kind, key = ""] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (kind) return pod[kind as "labels" | "annotations"][key] ?? "";
  const fields: Record<string, string> = {
    ...{ "metadata.name": pod.name, "metadata.namespace": pod.namespace, "metadata.uid": pod.uid },
    ...{
      "spec.serviceAccountName": pod.serviceAccount,
      "spec.nodeName": "embedded",
      "status.podIP": "127.0.0.1",
      "status.hostIP": "127.0.0.1",
    },
  };
  const value = fields[path];
  if (value === undefined) throw new ContainerConfigError(`fieldPath "${path}" is not emulated: ${Object.keys(fields).join(", ")} are.`);
  return value;
}

function resourceOf({ resource, divisor = 1 }: Properties, { resources }: Properties): string {
  const [kind, name] = String(resource).split(".") as [string, string];
  const value = quantity(resources?.[kind]?.[name]);
  if (value === undefined) throw new ContainerConfigError(`resourceFieldRef "${resource}": the container does not declare it.`);
  return String(Math.ceil(value / (quantity(divisor) ?? 1)));
}

/** `$(NAME)` stands for a variable; `$$(NAME)` for itself, and so does a variable that is not there. */
export const substituted = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replace(/\$(\$?)\(([A-Za-z_][\w.-]*)\)/g, (all, escaped, name) => (escaped ? all.slice(1) : (variables[name] ?? all)));
