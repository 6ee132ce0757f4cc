import type * as pulumi from "@pulumi/pulumi";
import type { Properties } from "../kernel/service.js";
import { isDynamic } from "./dynamic.js";
import { plain } from "./envelopes.js";
import { parseUrn } from "./urn.js";

/** A provider as engines use one, where Pulumi's own interface says less. */
export interface Provider extends pulumi.provider.Provider {
  /** @param seed of the physical name, so that it comes out the same again. @default a random one */
  check?(urn: string, olds: Properties, news: Properties, seed?: Uint8Array): Promise<pulumi.provider.CheckResult>;
  /** @param oldInputs with what `olds` was made. */
  diff?(id: string, urn: string, olds: Properties, news: Properties, oldInputs?: Properties): Promise<pulumi.provider.DiffResult>;
  /** @param inputs as they were when it was last made or changed. */
  read?(id: string, urn: string, props?: Properties, inputs?: Properties): Promise<pulumi.provider.ReadResult>;
  /** What a resource would be, as far as can be known before it is made or, where it has an id, changed. Does nothing. */
  preview?(urn: string, news: Properties, before?: { id: string; outputs: Properties }): Promise<Properties>;
  /** Makes a kept resource live again. */
  restore?(id: string, urn: string, inputs: Properties, outputs: Properties): Promise<Properties>;
}

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

  /** Takes note of an explicit provider. */
  configure(urn: string, inputs: Properties): void {
    const pkg = parseUrn(urn).type.slice(PREFIX.length);
    this.#explicit.set(urn, this.#make(pkg, providerConfig(inputs)));
  }

  #configOf(pkg: string): Properties {
    const own = Object.entries(this.#config).filter(([key]) => key.startsWith(`${pkg}:`));
    return providerConfig(Object.fromEntries(own.map(([key, value]) => [key.slice(pkg.length + 1), value])));
  }
}

/** The configuration of a provider out of its inputs, which are texts; what has structure is JSON. */
export function providerConfig(inputs: Properties): Properties {
  return mapValues(plain(inputs), parsed);
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
