import { Component } from "../../components/core/component.js";
import { type Declared, type DeclareOptions, recorded } from "../declared.js";

/** `photos-images account`: a component's name and what it calls its child. */
export type Child = string;

interface Creating {
  name: string;
  create(child: string, ...rest: unknown[]): unknown;
}

/**
 * Runs a program whose transforms call {@link touch}, and tells which children of its components were made, and which of them by way of a
 * transform.
 */
export async function reached(
  program: (touch: () => void) => unknown,
  options?: DeclareOptions,
): Promise<{ children: Child[]; touched: Child[]; resources: Declared[] }> {
  const component = Component.prototype as unknown as Creating;
  const { create } = component;
  const [children, touched] = [new Set<Child>(), new Set<Child>()];
  let touches = 0;
  component.create = function (child, ...rest) {
    const before = touches;
    const made = create.call(this, child, ...rest);
    children.add(`${this.name} ${child}`);
    if (touches > before) touched.add(`${this.name} ${child}`);
    return made;
  };
  try {
    const resources = await recorded(() => program(() => void touches++), options);
    return { children: [...children].sort(), touched: [...touched].sort(), resources };
  } finally {
    component.create = create;
  }
}

/** A transform for each of a part's children: `each(touch, "account", "blobs")`. */
export function each<Name extends string>(touch: () => void, ...names: Name[]): { [N in Name]: () => void } {
  return Object.fromEntries(names.map((name) => [name, touch])) as { [N in Name]: () => void };
}
