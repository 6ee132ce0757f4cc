import type * as pulumi from "@pulumi/pulumi";
import requireFromString from "require-from-string";
import type { Properties } from "../kernel/service.js";
import { conceal, open } from "./envelopes.js";
import type { Log } from "./log.js";

/** Whether resources of this type bring their provider along, as source text among their inputs. */
export const isDynamic = (type: string): boolean => /^pulumi-nodejs:dynamic[/:]/.test(type);

/**
 * Runs the providers that dynamic resources bring along. They know no secrets: they are given plain values, and their outputs are secret
 * where their inputs were.
 */
export class DynamicProvider implements pulumi.provider.Provider {
  readonly #config: Readonly<Record<string, string>>;
  readonly #project: string;
  readonly #log: Log;
  readonly #providers = new Map<string, Promise<pulumi.dynamic.ResourceProvider>>();

  constructor({ project, config, onLog }: { project: string; config: Readonly<Record<string, string>>; onLog: Log }) {
    this.#project = project;
    this.#config = config;
    this.#log = onLog;
  }

  async check(_urn: string, olds: Properties, news: Properties): Promise<pulumi.provider.CheckResult> {
    const value = opened(news);
    const provider = await this.#provider(value);
    const { inputs = value, failures = [] } = (await provider.check?.(opened(olds ?? {}), { ...value })) ?? {};
    return { inputs: sealed(inputs, value, news), failures };
  }

  async diff(id: string, _urn: string, olds: Properties, news: Properties): Promise<pulumi.provider.DiffResult> {
    const after = opened(news);
    const provider = await this.#provider(after);
    return (await provider.diff?.(id, opened(olds), after)) ?? {};
  }

  async create(_urn: string, inputs: Properties): Promise<pulumi.provider.CreateResult> {
    const value = opened(inputs);
    const { id, outs = {} } = await (await this.#provider(value)).create({ ...value });
    return { id, outs: sealed(outs, value, inputs) };
  }

  async update(id: string, urn: string, olds: Properties, news: Properties): Promise<pulumi.provider.UpdateResult> {
    const value = opened(news);
    const before = opened(olds);
    const provider = await this.#provider(value);
    if (!provider.update) {
      this.#log("warning", "It has changed, and its dynamic provider has no update(): a real deployment would lose its outputs.", urn);
    }
    const { outs = {} } = provider.update ? ((await provider.update(id, before, { ...value })) ?? {}) : { outs: { ...before, ...value } };
    return { outs: sealed(outs, value, news) };
  }

  async read(id: string, _urn: string, props: Properties): Promise<pulumi.provider.ReadResult> {
    const value = opened(props);
    const provider = await this.#provider(value);
    if (!provider.read) return { id, props };
    const { id: found = "", props: state = {} } = await provider.read(id, value);
    return { id: found, props: sealed(state, value, props) };
  }

  async delete(id: string, _urn: string, props: Properties): Promise<void> {
    const value = opened(props);
    await (await this.#provider(value)).delete?.(id, value);
  }

  #provider({ __provider: source }: Properties): Promise<pulumi.dynamic.ResourceProvider> {
    if (typeof source !== "string") throw new Error("A dynamic resource has no provider among its inputs.");
    const known = this.#providers.get(source) ?? this.#load(source);
    this.#providers.set(source, known);
    return known;
  }

  async #load(source: string): Promise<pulumi.dynamic.ResourceProvider> {
    const provider: pulumi.dynamic.ResourceProvider = requireFromString(source).handler();
    await provider.configure?.({ config: this.#configuration() });
    return provider;
  }

  #configuration(): pulumi.dynamic.Config {
    const get = (key: string) => this.#config[key.includes(":") ? key : `${this.#project}:${key}`];
    return {
      get,
      require(key) {
        const value = get(key);
        if (value === undefined) throw new Error(`Missing required configuration key: ${key}`);
        return value;
      },
    };
  }
}

/** Without secrets; assets stay as Pulumi sends them. */
const opened = (wire: Properties): Properties => open(wire, { assets: "keep" }).value;

/** What a provider returned, with its own source, which later steps need. */
function sealed(returned: Properties, { __provider }: Properties, inputs: Properties): Properties {
  return conceal({ ...returned, __provider }, inputs);
}
