// A program as it may run in a container: answers who it is, becomes unhealthy when told to, and drains when it is to end.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";

const { HOST, PORT, DRAIN = "0" } = process.env;
const state = { live: true, ready: process.env.READY !== "no" };

const routes = {
  "/healthz": () => (state.live ? [200, "ok"] : [500, "not alive"]),
  "/readyz": () => (state.ready ? [200, "ok"] : [503, "not ready"]),
  "/become": (url) => [200, JSON.stringify(Object.assign(state, JSON.parse(url.searchParams.get("state"))))],
  "/env": () => [200, JSON.stringify(process.env)],
  "/argv": () => [200, JSON.stringify(process.argv)],
  "/file": (url) => [200, readFileSync(url.searchParams.get("path"), "utf8")],
  "/write": (url) => {
    const path = url.searchParams.get("path").replace("TMP", tmpdir());
    writeFileSync(path, "written");
    return [200, readFileSync(path, "utf8")];
  },
  "/exit": (url) => {
    setTimeout(() => process.exit(Number(url.searchParams.get("code"))), 10);
    return [200, ""];
  },
  "/eat": () => {
    const eaten = [];
    setInterval(() => eaten.push(Buffer.alloc(32 * 2 ** 20, 1)), 10);
    return [200, ""];
  },
  "/sharp": async () => {
    const { default: sharp } = await import("sharp");
    const { info } = await sharp({ create: { width: 3, height: 2, channels: 3, background: "red" } })
      .png()
      .toBuffer({ resolveWithObject: true });
    return [200, JSON.stringify(info)];
  },
  "/token": async (url) => {
    const { WorkloadIdentityCredential } = await import("@azure/identity");
    const credential = new WorkloadIdentityCredential({ disableInstanceDiscovery: true });
    const { token } = await credential.getToken(url.searchParams.get("scope")).catch(({ message }) => Promise.reject({ message }));
    return [200, token];
  },
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const answer = async () =>
    (await routes[url.pathname]?.(url)) ?? [200, JSON.stringify({ pod: process.env.HOSTNAME, version: process.env.VERSION })];
  const [status, body] = await answer().catch(({ code, message }) => [500, code ?? message]);
  response.writeHead(status, { connection: "close" });
  response.end(String(body));
});

server.listen(Number(PORT), HOST, () => console.log(`listening, version ${process.env.VERSION}`));

process.on("SIGTERM", () => {
  console.log("draining");
  server.close();
  setTimeout(() => {
    console.log("drained");
    process.exit(0);
  }, Number(DRAIN));
});
