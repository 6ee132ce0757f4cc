import * as pulumi from "@pulumi/pulumi";

interface Outputs {
  host: string;
  /** PEM. */
  certificate: string;
  key: string;
  /** When it ends, ISO 8601. */
  until: string;
}

/*
 * Pulumi keeps a dynamic provider as text and runs it elsewhere: these functions import within, refer only to each other, and define no named
 * functions within (tsx would have them refer to a helper of its own).
 */

const DAY = 86_400_000;

/** For two years; a new one is made in the last half of one, by whichever `pulumi up` comes first. */
async function make(host: string): Promise<Outputs> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const { webcrypto, randomBytes } = await import("node:crypto");
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const until = new Date(Date.now() + 730 * DAY);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Positive, as the first digit is below 8.
    serialNumber: `4${randomBytes(16).toString("hex").slice(1)}`,
    name: `CN=${host.slice(0, 64)}`,
    notBefore: new Date(Date.now() - DAY),
    notAfter: until,
    signingAlgorithm: algorithm,
    keys: keys as unknown as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[0]["keys"],
    extensions: [
      // Its own authority, which is how clients can be told to trust it, and nothing else by it.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: host }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
  return { host, certificate: `${certificate.toString("pem")}\n`, key, until: until.toISOString() };
}

const provider: pulumi.dynamic.ResourceProvider<{ host: string }, Outputs> = {
  async check(_olds, news) {
    const valid = typeof news.host !== "string" || /^[a-z0-9.-]{1,253}$/.test(news.host);
    return { inputs: news, failures: valid ? [] : [{ property: "host", reason: `host is ${news.host}: it must be a host name.` }] };
  },
  async create(inputs) {
    return { id: inputs.host, outs: await make(inputs.host) };
  },
  async read(id, props) {
    return { id, props: props as Outputs };
  },
  async diff(_id, olds, news) {
    const ending = Date.parse(olds.until) - Date.now() < 180 * DAY;
    return { changes: olds.host !== news.host || ending, replaces: olds.host !== news.host ? ["host"] : [] };
  },
  async update(_id, _olds, news) {
    return { outs: await make(news.host) };
  },
  async delete() {},
};

/** Options of {@link SelfSignedCertificate}. */
export interface SelfSignedCertificateArgs {
  /** The name that callers use. */
  host: pulumi.Input<string>;
}

/** A certificate for a host name that vouches for itself: whoever is given it (and trusts it) can call the host without being overheard. */
export class SelfSignedCertificate extends pulumi.dynamic.Resource {
  /** PEM. */
  declare readonly certificate: pulumi.Output<string>;
  /** PEM, a secret. */
  declare readonly key: pulumi.Output<string>;

  constructor(name: string, { host }: SelfSignedCertificateArgs, opts?: pulumi.CustomResourceOptions) {
    const outputs = { certificate: undefined, key: undefined, until: undefined };
    super(
      provider,
      name,
      { host, ...outputs },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["key"] }),
      "core",
      "SelfSignedCertificate",
    );
  }
}
