import { readFile } from "node:fs/promises";
import tls from "node:tls";

const trusted = new Set<string>();

/** From Node 22.19 and 24.5 on, Node has a way of its own. */
interface DefaultAuthorities {
  getCACertificates?(type: "default"): string[];
  setDefaultCACertificates?(certificates: readonly string[]): void;
}

/** What is behind a `SecureContext`: it asks for the public authorities when a connection names none. */
interface NativeContext {
  addRootCerts(): void;
  addCACert(certificate: string): void;
}

/**
 * Lets this process trust the embedded cloud's certificate authority beside the public ones, for connections that name no authorities of their
 * own: dynamic resources of the program run in it, and SQL's driver has no setting but the process's own. NODE_EXTRA_CA_CERTS is read only when
 * a process begins. The authority's key is forgotten once it has signed this cloud's certificate: nothing else can have one.
 *
 * @param authority path of its certificate (PEM)
 */
export async function trustAuthority(authority: string): Promise<void> {
  const certificate = await readFile(authority, "utf8");
  if (trusted.has(certificate)) return;
  trusted.add(certificate);
  const { getCACertificates, setDefaultCACertificates } = tls as DefaultAuthorities;
  if (getCACertificates && setDefaultCACertificates) setDefaultCACertificates([...getCACertificates("default"), certificate]);
  else if (trusted.size === 1) extendContexts();
}

function extendContexts(): void {
  const native = Object.getPrototypeOf(tls.createSecureContext().context) as NativeContext;
  const original = native.addRootCerts;
  native.addRootCerts = function (this: NativeContext) {
    original.call(this);
    for (const certificate of trusted) this.addCACert(certificate);
  };
}
