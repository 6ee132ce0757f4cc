/** Uniform resource names: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. */

export const STACK_TYPE = "pulumi:pulumi:Stack";

export interface UrnParts {
  stack: string;
  project: string;
  /** Types of the parents, without the stack's, and its own, joined with `$`. */
  qualifiedType: string;
  type: string;
  name: string;
}

/** The URN of a resource under a parent (a URN, or empty). */
export function urnOf({
  stack,
  project,
  type,
  name,
  parent,
}: {
  stack: string;
  project: string;
  type: string;
  name: string;
  parent: string;
}): string {
  const above = parent === "" ? undefined : parseUrn(parent);
  const qualified = above && above.type !== STACK_TYPE ? `${above.qualifiedType}$${type}` : type;
  return `urn:pulumi:${stack}::${project}::${qualified}::${name}`;
}

export function parseUrn(urn: string): UrnParts {
  const [prefix = "", project, qualifiedType, ...name] = urn.split("::");
  const stack = /^urn:pulumi:(.+)$/.exec(prefix)?.[1];
  if (!stack || !project || !qualifiedType || name.length === 0) throw new Error(`"${urn}" is not a URN.`);
  return { stack, project, qualifiedType, type: qualifiedType.slice(qualifiedType.lastIndexOf("$") + 1), name: name.join("::") };
}

/** Another identity that a resource had: a URN, or what of it was different. */
export type Alias = string | { name: string; type: string; stack: string; project: string; parent?: string };

/** Who a resource is, for working out who it was. */
interface Identity {
  stack: string;
  project: string;
  type: string;
  name: string;
  parent: string;
}

/** Every URN that a resource may have had: by its own aliases, by its parent's, and by both. */
export function formerUrns(self: Identity, aliases: readonly Alias[], parentBefore: string | undefined): string[] {
  const own = aliases.map((alias) =>
    typeof alias === "string"
      ? alias
      : urnOf({
          stack: alias.stack || self.stack,
          project: alias.project || self.project,
          type: alias.type || self.type,
          name: alias.name || self.name,
          parent: alias.parent ?? self.parent,
        }),
  );
  if (parentBefore === undefined || parentBefore === self.parent) return own;
  const underFormerParent = ({ type, name }: { type: string; name: string }) => {
    const [now, then] = [parseUrn(self.parent), parseUrn(parentBefore)];
    // Children are named after their parent by convention, so they were named after the former parent.
    const nameThen = name.startsWith(now.name) ? then.name + name.slice(now.name.length) : name;
    return urnOf({ stack: then.stack, project: then.project, type, name: nameThen, parent: parentBefore });
  };
  return [...own, underFormerParent(self), ...own.map((urn) => underFormerParent(parseUrn(urn)))];
}
