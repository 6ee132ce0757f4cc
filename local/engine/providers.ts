import type * as pulumi from "@pulumi/pulumi";
import type { Properties } from "../kernel/service.js";
import { isDynamic } from "./dynamic.js";
import { plain } from "./envelopes.js";
import { parseUrn } from "./urn.js";

/** A provider, which may be able to make kept resources live again. */
export type Provider = pulumi.provider.Provider & {
  restore?(id: string, urn: string, inputs: Properties, outputs: Properties): Promise<Properties>;
};

/** Makes the provider of a package (`"aws"`) with its configuration, as inputs of a provider resource or as the stack's configuration. */
export type ProviderFactory = (pkg: string, config: Properties) => Provider;

const PREFIX = "pulumi:providers:";

/** Whether resources of this type are providers themselves: `new aws.Provider(…)`. */
export const isProvider = (type: string): boolean => type.startsWith(PREFIX);

/** Who provides which resource: the provider that it brings along, the one that it names, or its package's default. */
export class Providers {
  readonly #make: ProviderFactory;
  readonly #dynamic: Provider;
  readonly #config: Readonly<Record<string, string>>;
  readonly #defaults = new Map<string, Provider>();
  readonly #explicit = new Map<string, Provider>();

  constructor(make: ProviderFactory, dynamic: Provider, config: Readonly<Record<string, string>>) {
    this.#make = make;
    this.#dynamic = dynamic;
    this.#config = config;
  }

  /** @param reference `URN::ID` of an explicit provider, or empty. */
  of(token: string, reference: string): Provider {
    if (isDynamic(token)) return this.#dynamic;
    if (reference !== "") {
      const urn = reference.slice(0, reference.lastIndexOf("::"));
      const provider = this.#explicit.get(urn);
      if (!provider) throw new Error(`There is no provider ${urn}.`);
      return provider;
    }
    const pkg = token.split(":")[0] as string;
    const provider = this.#defaults.get(pkg) ?? this.#make(pkg, this.#configOf(pkg));
    this.#defaults.set(pkg, provider);
    return provider;
  }

  /** Takes note of an explicit provider. Its inputs are texts; what has structure is JSON. */
  configure(urn: string, inputs: Properties): void {
    const pkg = parseUrn(urn).type.slice(PREFIX.length);
    this.#explicit.set(urn, this.#make(pkg, mapValues(plain(inputs), parsed)));
  }

  #configOf(pkg: string): Properties {
    const own = Object.entries(this.#config).filter(([key]) => key.startsWith(`${pkg}:`));
    return mapValues(Object.fromEntries(own.map(([key, value]) => [key.slice(pkg.length + 1), value])), parsed);
  }
}

function parsed(value: unknown): unknown {
  if (typeof value !== "string" || !/^[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function mapValues(values: Properties, by: (value: unknown) => unknown): Properties {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, by(value)]));
}
