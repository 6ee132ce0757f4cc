import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import requireFromString from "require-from-string";
import { FunctionCode } from "../../../components/azure/function-code.js";
import { recorded } from "../../declared.js";

const ZIP = Buffer.from("a package");
const sha256 = createHash("sha256").update(ZIP).digest("hex");

describe("The code of a Function App", () => {
  /** The provider as Pulumi keeps and runs it: from its text, with nothing of this program around it. */
  let provider: any;
  let folder: string;
  let server: Server | undefined;

  before(async () => {
    const args = { host: "app.scm.azurewebsites.net", path: "app.zip", sha256, token: "t" };
    const [resource] = await recorded(() => new FunctionCode("code", args));
    assert.deepEqual(resource?.secretInputs, ["token"]);
    provider = requireFromString(resource?.inputs.__provider).handler();
    folder = await mkdtemp(path.join(tmpdir(), "code-"));
    await writeFile(path.join(folder, "app.zip"), ZIP);
  });
  afterEach(() => server?.close());
  after(() => rm(folder, { recursive: true, force: true }));

  const site = async (listener: RequestListener) => {
    server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, path: path.join(folder, "app.zip"), sha256, token: "a-token" };
  };

  it("is posted as a zip, and asked for until it is done", async () => {
    const seen: string[] = [];
    let asked = 0;
    const inputs = await site((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        seen.push(`${request.method} ${request.url} ${request.headers.authorization} ${Buffer.concat(chunks)}`);
        if (request.method === "POST") return response.writeHead(202).end('"d-1"');
        asked += 1;
        if (asked === 1) return response.writeHead(404).end();
        return response.end(JSON.stringify({ status: asked === 2 ? 1 : 4 }));
      });
    });
    assert.deepEqual(await provider.create(inputs), { id: inputs.host, outs: { host: inputs.host, path: inputs.path, sha256 } });
    assert.deepEqual(seen, [
      "POST /api/publish Bearer a-token a package",
      ...Array.from({ length: 3 }, () => "GET /api/deployments/d-1 Bearer a-token "),
    ]);
  });

  it("has failed where the site says so, in its words", async () => {
    const inputs = await site((request, response) => {
      if (request.method === "POST") response.writeHead(202).end('"d-2"');
      else response.end(JSON.stringify({ status: 3, status_text: "no functions found" }));
    });
    await assert.rejects(provider.create(inputs), { message: `The deployment d-2 on ${inputs.host} failed: no functions found` });
  });

  it("is there when the site that was restarted forgets about it", async () => {
    let asked = 0;
    const inputs = await site((request, response) => {
      if (request.method === "POST") return response.writeHead(202).end('"d-3"');
      asked += 1;
      return asked === 1 ? response.end(JSON.stringify({ status: 2 })) : response.writeHead(404).end();
    });
    await provider.update(inputs.host, {}, inputs);
    assert.equal(asked, 2);
  });

  it("is there when the site breaks connections off while it restarts", async () => {
    let asked = 0;
    const inputs = await site((request, response) => {
      if (request.method === "POST") return response.writeHead(202).end('"d-4"');
      asked += 1;
      if (asked === 1) return request.socket.destroy();
      if (asked === 2) return response.writeHead(200, { "content-length": 100 }).write("{", () => request.socket.destroy());
      return response.end(JSON.stringify({ status: 4 }));
    });
    await provider.update(inputs.host, {}, inputs);
    assert.equal(asked, 3);
  });

  it("has failed where the site takes it and names no deployment: it is not posted again and again", async () => {
    let posted = 0;
    const inputs = await site((_, response) => {
      posted += 1;
      response.writeHead(202).end();
    });
    await assert.rejects(provider.create(inputs), { message: /does not say as which deployment: its answer is empty/ });
    assert.equal(posted, 1);
  });

  it("is refused at once where trying again is no use", async () => {
    const inputs = await site((_, response) => response.writeHead(400).end("not a zip"));
    await assert.rejects(provider.create(inputs), { message: `${inputs.host} does not take the app's code: 400 not a zip` });
  });

  it("is not published when it is not what was announced", async () => {
    const inputs = await site((_, response) => response.end());
    await assert.rejects(provider.create({ ...inputs, sha256: "0".repeat(64) }), { message: /is not the package that was announced/ });
  });

  it("changes with the zip, or the site, and not with the token", async () => {
    const olds = { host: "h", path: "a.zip", sha256 };
    assert.deepEqual(await provider.diff("h", olds, { ...olds, path: "b.zip", token: "another" }), { changes: false, replaces: [] });
    assert.deepEqual(await provider.diff("h", olds, { ...olds, sha256: "1".repeat(64) }), { changes: true, replaces: [] });
    assert.deepEqual(await provider.diff("h", olds, { ...olds, host: "i" }), { changes: true, replaces: ["host"] });
    assert.deepEqual(await provider.read("h", olds), { id: "h", props: olds });
    await provider.delete("h", olds);
  });
});
