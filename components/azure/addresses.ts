/** Is this host (`"localhost:8080"`) on this machine? Then it is the embedded cloud's, which has no certificates. */
export function isLocal(host: string): boolean {
  return /^(127\.0\.0\.1|localhost)(:|$)/.test(host);
}

/** `"photos.azurewebsites.net"` → `"https://photos.azurewebsites.net"`; the embedded cloud's speak plain HTTP. */
export function origin(host: string): string {
  return `${isLocal(host) ? "http" : "https"}://${host}`;
}
