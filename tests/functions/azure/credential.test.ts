import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { serverCertificate } from "../../../local/kernel/azure/certificates.js";

const TENANT = "11111111-1111-1111-1111-111111111111";
const CLIENT = "22222222-2222-2222-2222-222222222222";
const PROGRAM = `
const { credentialOf } = await import(process.argv[1]);
const credential = credentialOf(${JSON.stringify(CLIENT)});
const { token } = process.env.AZURE_AUTHORITY_HOST ? await credential.getToken("https://storage.azure.com/.default") : {};
console.log(JSON.stringify({ kind: credential.constructor.name, token }));
`;

describe("The app's identity", function () {
  this.timeout(30_000);

  const ask = async (environment: Record<string, string>): Promise<{ kind: string; token?: string }> => {
    const module = new URL("../../../functions/azure/credential.ts", import.meta.url).href;
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", "--input-type=module", "-e", PROGRAM, module], {
      env: { PATH: process.env.PATH, ...environment },
    });
    return JSON.parse(stdout);
  };

  it("in a pod is proven by the token that the cluster has given it, to whom the cluster says, and to nobody else", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "credential-"));
    const { key, cert, authority } = await serverCertificate(folder);
    const asked: string[] = [];
    const server = createServer({ key, cert }, async (request, response) => {
      const { url = "" } = request;
      const at = `https://${request.headers.host}/${TENANT}`;
      const form = new URLSearchParams(await text(request));
      asked.push(`${request.method} ${url.split("?")[0]}`);
      response.setHeader("content-type", "application/json");
      if (url.endsWith("/openid-configuration")) {
        const endpoints = { token_endpoint: `${at}/oauth2/v2.0/token`, authorization_endpoint: `${at}/oauth2/v2.0/authorize` };
        return void response.end(JSON.stringify({ ...endpoints, issuer: `${at}/v2.0`, jwks_uri: `${at}/keys` }));
      }
      const shown = ["client_id", "client_assertion", "scope", "grant_type"].map((name) => form.get(name)).join(" ");
      response.end(JSON.stringify({ token_type: "Bearer", expires_in: 3_600, access_token: shown }));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    await writeFile(path.join(folder, "token"), "the service account's");
    const { kind, token } = await ask({
      AZURE_TENANT_ID: TENANT,
      AZURE_CLIENT_ID: CLIENT,
      AZURE_AUTHORITY_HOST: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      AZURE_FEDERATED_TOKEN_FILE: path.join(folder, "token"),
      NODE_EXTRA_CA_CERTS: authority,
      // Whoever asks anybody else fails.
      HTTPS_PROXY: "http://127.0.0.1:9",
      NO_PROXY: "127.0.0.1",
    });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
    assert.equal(kind, "WorkloadIdentityCredential");
    assert.equal(token, `${CLIENT} the service account's https://storage.azure.com/.default client_credentials`);
    assert.deepEqual(asked, [`GET /${TENANT}/v2.0/.well-known/openid-configuration`, `POST /${TENANT}/oauth2/v2.0/token`]);
  });

  it("elsewhere is the platform's to give", async () => {
    assert.equal((await ask({ IDENTITY_ENDPOINT: "http://127.0.0.1:9/token", IDENTITY_HEADER: "x" })).kind, "ManagedIdentityCredential");
  });
});
