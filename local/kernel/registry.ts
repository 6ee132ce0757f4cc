import type { Registry } from "./cloud.js";
import type { Resource } from "./service.js";

/** The resources that exist, indexed as services ask for them. */
export class ResourceRegistry implements Registry {
  readonly #byType = new Map<string, Map<string, Resource>>();
  readonly #byArn = new Map<string, Resource>();

  get(type: string, id: string): Resource | undefined {
    return this.#byType.get(type)?.get(id);
  }

  byArn(arn: string): Resource | undefined {
    return this.#byArn.get(arn);
  }

  all(type: string): Resource[] {
    return [...(this.#byType.get(type)?.values() ?? [])];
  }

  /** Adds a resource, or takes the place of the one of the same type and id. */
  add(resource: Resource): void {
    const before = this.get(resource.type, resource.id);
    if (before) this.remove(before);
    let ofType = this.#byType.get(resource.type);
    if (!ofType) {
      ofType = new Map();
      this.#byType.set(resource.type, ofType);
    }
    ofType.set(resource.id, resource);
    // A topic's policy or a rule's target is given the ARN of something else.
    const arn: unknown = resource.outputs.arn;
    if (typeof arn === "string" && resource.inputs.arn !== arn) this.#byArn.set(arn, resource);
  }

  remove({ type, id }: Resource): void {
    const resource = this.get(type, id);
    if (!resource) return;
    this.#byType.get(type)?.delete(id);
    if (this.#byArn.get(resource.outputs.arn) === resource) this.#byArn.delete(resource.outputs.arn);
  }
}
