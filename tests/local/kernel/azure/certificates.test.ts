import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServerCertificate, serverCertificate } from "../../../../local/kernel/azure/certificates.js";

describe("The certificate of an embedded cloud", () => {
  let folders: string[];
  let certificates: ServerCertificate[];
  before(async () => {
    folders = [await mkdtemp(join(tmpdir(), "certificates-")), await mkdtemp(join(tmpdir(), "certificates-"))];
    certificates = await Promise.all(folders.map(serverCertificate));
  });
  after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

  /** What a server with this certificate answers to a client that trusts these authorities. */
  const answer = async ({ key, cert }: ServerCertificate, authorities: string[]): Promise<string> => {
    const server = createServer({ key, cert }, (_request, response) => response.end("ok")).listen(0, "127.0.0.1");
    try {
      await once(server, "listening");
      const ca = await Promise.all(authorities.map((authority) => readFile(authority, "utf8")));
      const request = get({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, ca, agent: false });
      const [response] = await once(request, "response");
      let body = "";
      for await (const chunk of response) body += chunk;
      return body;
    } finally {
      server.close();
    }
  };

  it("is trusted by whoever trusts its authority, also among those of other clouds", async () => {
    const authorities = certificates.map(({ authority }) => authority);
    for (const certificate of certificates) {
      assert.equal(await answer(certificate, authorities), "ok");
      assert.equal(await answer(certificate, authorities.toReversed()), "ok");
    }
  });

  it("is not trusted for another cloud's authority", async () => {
    const [one, other] = certificates as [ServerCertificate, ServerCertificate];
    await assert.rejects(answer(one, [other.authority]));
  });
});
