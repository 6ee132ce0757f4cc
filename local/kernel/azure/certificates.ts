import { randomUUID, webcrypto } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A certificate for `127.0.0.1` and `localhost`, and the authority that signed it. PEM. */
export interface ServerCertificate {
  key: string;
  cert: string;
  /** Path of the authority's certificate, for `NODE_EXTRA_CA_CERTS`. */
  authority: string;
}

const DAY = 86_400_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const made = new Map<string, Promise<ServerCertificate>>();

/**
 * The certificate of the HTTPS endpoints, made when a folder has none that lasts another day, and kept in it. The authority's private key is
 * forgotten at once: it can sign nothing else.
 */
export function serverCertificate(folder: string): Promise<ServerCertificate> {
  const known = made.get(folder) ?? keptOrMade(folder);
  made.set(folder, known);
  known.catch(() => made.delete(folder));
  return known;
}

async function keptOrMade(folder: string): Promise<ServerCertificate> {
  const authority = join(folder, "certificate-authority.pem");
  const file = join(folder, "certificate.json");
  try {
    const kept = JSON.parse(await readFile(file, "utf8")) as { key: string; cert: string; until: number };
    await readFile(authority);
    if (kept.until - DAY > Date.now()) return { key: kept.key, cert: kept.cert, authority };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" && !(error instanceof SyntaxError)) throw error;
  }
  const { key, cert, root, until } = await make();
  await writeFile(file, JSON.stringify({ key, cert, until }), { mode: 0o600 });
  await writeFile(authority, root);
  return { key, cert, authority };
}

async function make(): Promise<{ key: string; cert: string; root: string; until: number }> {
  // Asked for only here: nothing else of the embedded cloud pays for loading it.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  const generate = () => webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as Promise<webcrypto.CryptoKeyPair>;
  const [rootKeys, keys] = await Promise.all([generate(), generate()]);
  const lasting = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + 825 * DAY) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    // A process may trust those of several clouds, and looks for the signer by its name.
    name: `CN=Embedded cloud ${randomUUID()}`,
    ...lasting,
    signingAlgorithm: ALGORITHM,
    keys: rootKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  const server = await x509.X509CertificateGenerator.create({
    serialNumber: "02",
    subject: "CN=localhost",
    issuer: root.subject,
    ...lasting,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: rootKeys.privateKey,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    cert: server.toString("pem"),
    root: root.toString("pem"),
    until: lasting.notAfter.getTime(),
  };
}
