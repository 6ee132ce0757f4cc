import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { serverCertificate } from "../../../local/kernel/azure/certificates.js";
import { close, listen } from "../../../local/kernel/http-server.js";

describe("An HTTPS endpoint", () => {
  let folder: string;
  let ca: Buffer;
  let port: number;
  let server: http.Server;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "https-"));
    const certificate = await serverCertificate(folder);
    ca = await readFile(certificate.authority);
    ({ server, port } = await listen(async ({ body, plain = false }) => ({ status: 200, body: `${body.length} ${plain}` }), 0, {
      tls: certificate,
    }));
  });
  after(async () => {
    await close(server);
    await rm(folder, { recursive: true });
  });

  async function send(module: typeof http | typeof https, agent: http.Agent, size: number): Promise<string> {
    const request = module.request({ host: "127.0.0.1", port, agent, method: "PUT" });
    request.end(Buffer.alloc(size));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    return (await buffer(response)).toString();
  }

  it("answers both at one port, many at a time and one after the other, and knows which is which", async () => {
    const [plain, secure] = [new http.Agent({ keepAlive: true, maxSockets: 4 }), new https.Agent({ keepAlive: true, maxSockets: 4, ca })];
    try {
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) => (i % 2 ? send(https, secure, i * 10_000) : send(http, plain, i * 10_000))),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 40 }, (_, i) => `${i * 10_000} ${i % 2 === 0}`),
      );
    } finally {
      plain.destroy();
      secure.destroy();
    }
  });

  it("is not disturbed by who hangs up before saying anything", async () => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.resetAndDestroy();
    const agent = new https.Agent({ ca });
    assert.equal(await send(https, agent, 1), "1 false");
  });

  it("hangs up on everybody when it ends", async () => {
    const { server: other, port: at } = await listen(async () => ({ status: 200 }), 0, { tls: await serverCertificate(folder) });
    const agent = new https.Agent({ keepAlive: true, ca });
    const request = https.get({ host: "127.0.0.1", port: at, agent });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.resume();
    await once(response, "end");
    await close(other);
    agent.destroy();
  });
});
