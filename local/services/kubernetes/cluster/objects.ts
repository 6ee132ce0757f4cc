import { randomUUID } from "node:crypto";
import { CloudError, type Properties } from "../../../kernel/service.js";

/** An object of the Kubernetes API: a manifest, and what the cluster adds to it. */
export interface KubernetesObject extends Properties {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
}

export interface Metadata extends Properties {
  name: string;
  namespace?: string;
  uid: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** Namespaces that every cluster has. */
const NAMESPACES = ["default", "kube-system", "kube-public", "kube-node-lease"];

/** The objects of one cluster, by kind, namespace and name. */
export class Objects {
  readonly #objects = new Map<string, KubernetesObject>();
  #version = 1;

  constructor(private readonly now: () => Date) {
    for (const name of NAMESPACES) this.add({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }

  get(kind: string, namespace: string | undefined, name: string): KubernetesObject | undefined {
    return this.#objects.get(keyOf(kind, namespace, name));
  }

  /** Of every namespace, or of one. */
  list(kind: string, namespace?: string): KubernetesObject[] {
    return [...this.#objects.values()].filter(
      (one) => one.kind === kind && (namespace === undefined || one.metadata.namespace === namespace),
    );
  }

  /** @throws CloudError when it is there already, or its namespace is not */
  add(manifest: Properties): KubernetesObject {
    const { kind, metadata } = manifest;
    if (this.get(kind, metadata.namespace, metadata.name)) {
      throw new CloudError("AlreadyExists", `${kind} "${metadata.name}" already exists`, 409);
    }
    this.#mustHave(metadata.namespace);
    return this.#put(manifest, {
      uid: randomUUID(),
      creationTimestamp: this.now()
        .toISOString()
        .replace(/\.\d+Z$/, "Z"),
      generation: 1,
    });
  }

  /** Takes the place of the one of the same name, or is added. */
  replace(manifest: Properties): KubernetesObject {
    const before = this.get(manifest.kind, manifest.metadata.namespace, manifest.metadata.name);
    if (!before) return this.add(manifest);
    const { uid, creationTimestamp, generation } = before.metadata;
    return this.#put(manifest, { uid, creationTimestamp, generation: generation + 1 });
  }

  remove(kind: string, namespace: string | undefined, name: string): KubernetesObject | undefined {
    const found = this.get(kind, namespace, name);
    this.#objects.delete(keyOf(kind, namespace, name));
    if (found && kind === "Namespace") {
      for (const [key, one] of this.#objects) if (one.metadata.namespace === name) this.#objects.delete(key);
    }
    return found;
  }

  #put(manifest: Properties, computed: Properties): KubernetesObject {
    const { kind, metadata } = manifest;
    const complete = {
      ...manifest,
      metadata: { ...metadata, ...computed, resourceVersion: String(this.#version++) },
    } as unknown as KubernetesObject;
    this.#objects.set(keyOf(kind, metadata.namespace, metadata.name), complete);
    if (kind === "Namespace" && !this.get("ServiceAccount", metadata.name, "default")) {
      this.add({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: metadata.name } });
    }
    return complete;
  }

  #mustHave(namespace: string | undefined): void {
    if (namespace === undefined || NAMESPACES.includes(namespace) || this.get("Namespace", undefined, namespace)) return;
    throw new CloudError("NotFound", `namespaces "${namespace}" not found`, 404);
  }
}

const keyOf = (kind: string, namespace: string | undefined, name: string): string => `${kind}/${namespace ?? ""}/${name}`;

/** Whether labels fit a selector of equalities. */
export const selects = (selector: Record<string, string> | undefined, labels: Record<string, string> | undefined): boolean =>
  selector !== undefined && Object.keys(selector).length > 0 && Object.entries(selector).every(([name, value]) => labels?.[name] === value);
