import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import requireFromString from "require-from-string";
import { SelfSignedCertificate } from "../../../components/core/self-signed-certificate.js";
import { recorded } from "../../declared.js";

const host = "photos-0123456789abc.westeurope.cloudapp.azure.com";
const DAY = 86_400_000;

describe("A certificate that vouches for itself", () => {
  let provider: any;
  let declared: any;
  let made: { id: string; outs: { host: string; certificate: string; key: string; until: string } };
  before(async () => {
    [declared] = await recorded(() => new SelfSignedCertificate("certificate", { host }));
    provider = requireFromString(declared.inputs.__provider).handler();
    made = await provider.create({ host });
  });

  it("is for its host, for two years", () => {
    const certificate = new X509Certificate(made.outs.certificate);
    assert.equal(certificate.checkHost(host), host);
    assert.equal(certificate.checkHost("elsewhere.example"), undefined);
    assert.equal(certificate.checkPrivateKey(createPrivateKey(made.outs.key)), true);
    assert.equal(certificate.verify(certificate.publicKey), true);
    const days = (Date.parse(made.outs.until) - Date.now()) / DAY;
    assert.ok(days > 729 && days <= 730, String(days));
  });

  it("is trusted by whoever is given it, and by nobody else", async () => {
    const server = createServer({ cert: made.outs.certificate, key: made.outs.key }, (_, response) => response.end("hello")).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const get = (ca?: string) =>
      new Promise<number | undefined>((resolve, reject) =>
        request({ host: "127.0.0.1", port, servername: host, ...(ca && { ca }), agent: false }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode));
        })
          .on("error", reject)
          .end(),
      );
    try {
      assert.equal(await get(made.outs.certificate), 200);
      await assert.rejects(get(), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    } finally {
      server.close();
    }
  });

  it("stays until half a year before its end, or until there is another host", async () => {
    assert.deepEqual(await provider.diff("id", made.outs, { host }), { changes: false, replaces: [] });
    const ending = { ...made.outs, until: new Date(Date.now() + 179 * DAY).toISOString() };
    assert.deepEqual(await provider.diff("id", ending, { host }), { changes: true, replaces: [] });
    assert.deepEqual(await provider.diff("id", made.outs, { host: "b.example" }), { changes: true, replaces: ["host"] });
    const { outs } = await provider.update("id", ending, { host });
    assert.notEqual(outs.certificate, made.outs.certificate);
    assert.deepEqual(await provider.read("id", outs), { id: "id", props: outs });
  });

  it("keeps its key secret, and is for host names only", async () => {
    assert.deepEqual(declared.secretOutputs, ["key"]);
    assert.deepEqual((await provider.check({}, { host })).failures, []);
    assert.equal((await provider.check({}, { host: "no host" })).failures[0].property, "host");
  });
});
