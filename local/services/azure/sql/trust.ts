import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { SecureContext, SecureContextOptions } from "node:tls";

const trusted = new Set<string>();

/**
 * Lets this process trust the embedded cloud's certificate authority beside the public ones, for connections that name no authorities of their
 * own: dynamic resources of the program run in it, and SQL has no setting but the process's own. NODE_EXTRA_CA_CERTS is read when a process
 * begins, and Node 20 has no other way. Only certificates of this run's own authority, whose key is forgotten, are trusted by it.
 *
 * @param authority path of its certificate (PEM)
 */
export async function trustAuthority(authority: string): Promise<void> {
  const certificate = await readFile(authority, "utf8");
  if (trusted.has(certificate)) return;
  if (trusted.size === 0) extendContexts();
  trusted.add(certificate);
}

function extendContexts(): void {
  // As CommonJS has it, because that object is what Node itself and the drivers ask.
  const tls = createRequire(import.meta.url)("node:tls") as { createSecureContext(options?: SecureContextOptions): SecureContext };
  const original = tls.createSecureContext;
  tls.createSecureContext = (options) => {
    const context = original(options);
    if (!options?.ca) for (const certificate of trusted) (context.context as { addCACert(pem: string): void }).addCACert(certificate);
    return context;
  };
}
