import * as pulumi from "@pulumi/pulumi";

interface Key {
  bytes: number;
  /** base64url */
  key: string;
}

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions use what every runtime has as a global, import nothing, and
 * define no functions within (tsx would have them refer to a helper of its own).
 */
const provider: pulumi.dynamic.ResourceProvider<{ bytes: number }, Key> = {
  async check(_olds, news) {
    const valid = Number.isInteger(news.bytes) && news.bytes >= 16 && news.bytes <= 64;
    return {
      inputs: news,
      failures: valid ? [] : [{ property: "bytes", reason: `bytes is ${news.bytes}: it must be between 16 and 64.` }],
    };
  },
  async create(inputs) {
    const key = Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(inputs.bytes))).toString("base64url");
    return { id: globalThis.crypto.randomUUID(), outs: { bytes: inputs.bytes, key } };
  },
  async read(id, props) {
    return { id, props: props as Key };
  },
  async diff(_id, olds, news) {
    return { changes: olds.bytes !== news.bytes, replaces: olds.bytes !== news.bytes ? ["bytes"] : [] };
  },
  async update(_id, olds) {
    return { outs: olds };
  },
  async delete() {},
};

/** Options of {@link GeneratedKey}. */
export interface GeneratedKeyArgs {
  /**
   * Of randomness, 16 to 64; another number means another key.
   * @default 32
   */
  bytes?: number;
}

/** A random key, made once and kept in the stack's state as a secret. */
export class GeneratedKey extends pulumi.dynamic.Resource {
  /** The key as base64url, a secret. */
  declare readonly key: pulumi.Output<string>;

  constructor(name: string, { bytes = 32 }: GeneratedKeyArgs = {}, opts?: pulumi.CustomResourceOptions) {
    super(provider, name, { bytes, key: undefined }, pulumi.mergeOptions(opts, { additionalSecretOutputs: ["key"] }));
  }
}
