import type { ResourceState } from "./state.js";

/** URNs of everything that must exist while a resource exists. */
export function needs(resource: ResourceState): string[] {
  const provider = resource.provider.slice(0, Math.max(resource.provider.lastIndexOf("::"), 0));
  const all = [resource.parent, provider, ...resource.dependencies, ...Object.values(resource.propertyDependencies).flat()];
  return [...new Set(all)].filter((urn) => urn !== "" && urn !== resource.urn);
}

/** Every resource after what it needs, otherwise as given. */
export function inOrderOfCreation(resources: readonly ResourceState[]): ResourceState[] {
  const byUrn = groupByUrn(resources);
  const ordered = new Set<ResourceState>();
  const visiting = new Set<ResourceState>();
  const visit = (resource: ResourceState) => {
    if (ordered.has(resource) || visiting.has(resource)) return;
    visiting.add(resource);
    for (const urn of needs(resource)) byUrn.get(urn)?.forEach(visit);
    ordered.add(resource);
  };
  resources.forEach(visit);
  return [...ordered];
}

/**
 * Runs `work` for every resource once it has ended for all that need it: as much at a time as the dependencies allow. Where it throws, what
 * that resource needs is left alone, and the error goes to `failed`.
 */
export async function fromTheTop(
  resources: readonly ResourceState[],
  work: (resource: ResourceState) => Promise<void>,
  failed: (resource: ResourceState, error: Error) => void,
): Promise<void> {
  const begun = new Map<ResourceState, Promise<boolean>>();
  const after = (resource: ResourceState) => resources.filter((other) => other !== resource && needs(other).includes(resource.urn));
  // In reverse order of creation everything that needs a resource comes before it, so its work has begun already.
  for (const resource of inOrderOfCreation(resources).reverse()) {
    const dependents = after(resource).map((other) => begun.get(other) ?? true);
    begun.set(
      resource,
      Promise.all(dependents).then(async (gone) => {
        if (gone.includes(false)) return false;
        try {
          await work(resource);
          return true;
        } catch (error) {
          failed(resource, error as Error);
          return false;
        }
      }),
    );
  }
  await Promise.all(begun.values());
}

function groupByUrn(resources: readonly ResourceState[]): Map<string, ResourceState[]> {
  const groups = new Map<string, ResourceState[]>();
  for (const resource of resources) groups.set(resource.urn, [...(groups.get(resource.urn) ?? []), resource]);
  return groups;
}
