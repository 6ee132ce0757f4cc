import assert from "node:assert/strict";
import { TENANT } from "../../../../local/kernel/azure/arm.js";
import { verifyToken } from "../../../../local/kernel/azure/tokens.js";
import type { Properties, Resource } from "../../../../local/kernel/service.js";
import { DEPLOYMENT, deployment, NAMESPACE, SERVICE, service, type TestCluster, testCluster, urlOf } from "./fixture.js";

const STORAGE = "https://storage.azure.com";
const ACCOUNT = "kubernetes:core/v1:ServiceAccount";

describe("Workload identity", () => {
  let test: TestCluster;
  let identity: Resource;
  let image: string;
  let count = 0;

  before(async () => {
    test = await testCluster();
    image = await test.image();
    identity = await test.azure.identity("uploader");
    const annotations = { "azure.workload.identity/client-id": identity.outputs.clientId };
    await test.apply(ACCOUNT, { metadata: { name: "uploader", namespace: NAMESPACE, annotations } });
    await test.apply(ACCOUNT, { metadata: { name: "stranger", namespace: NAMESPACE, annotations } });
    await federate({});
  });
  after(() => test?.stop());

  const federate = (more: Properties) =>
    test.azure.declare("azure-native:managedidentity:FederatedIdentityCredential", `credential${count++}`, {
      resourceName: identity.outputs.name,
      federatedIdentityCredentialResourceName: `credential${count}`,
      issuer: test.cluster.outputs.oidcIssuerProfile.issuerURL,
      subject: `system:serviceaccount:${NAMESPACE}:uploader`,
      audiences: ["api://AzureADTokenExchange"],
      ...more,
    });

  /** The address of a pod of this service account. */
  const pod = async (name: string, serviceAccountName: string, labels: Properties = { "azure.workload.identity/use": "true" }) => {
    await test.apply(DEPLOYMENT, deployment(name, image, { pod: { serviceAccountName, labels } }));
    return urlOf(await test.apply(SERVICE, service(name)));
  };
  const tokenFrom = async (at: string) => {
    const response = await fetch(`${at}/token?scope=${encodeURIComponent(`${STORAGE}/.default`)}`);
    return { status: response.status, text: await response.text() };
  };

  it("gives a pod tokens of the identity that its service account names, by the unmodified SDK", async () => {
    const { status, text } = await tokenFrom(await pod("web", "uploader"));
    assert.equal(status, 200, text);
    const holder = await verifyToken(test.azure.test.cloud, text, STORAGE);
    assert.deepEqual(holder, { objectId: identity.outputs.principalId, clientId: identity.outputs.clientId, name: identity.outputs.name });
    assert.equal(await verifyToken(test.azure.test.cloud, text, "https://database.windows.net"), undefined);
  });

  it("refuses another service account, naming who it is and who is expected", async () => {
    const { status, text } = await tokenFrom(await pod("other", "stranger"));
    assert.equal(status, 500);
    assert.match(
      text,
      /AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:photos:stranger'.*'system:serviceaccount:photos:uploader'/,
    );
  });

  it("is only for pods that are labelled for it", async () => {
    const at = await pod("plain", "uploader", {});
    const env = (await (await fetch(`${at}/env`)).json()) as Properties;
    assert.deepEqual(
      Object.keys(env).filter((name) => name.startsWith("AZURE_")),
      [],
    );
    const labelled = (await (await fetch(`${await pod("labelled", "uploader")}/env`)).json()) as Properties;
    assert.deepEqual([labelled.AZURE_TENANT_ID, labelled.AZURE_CLIENT_ID], [TENANT, identity.outputs.clientId]);
  });

  it("checks issuer, audience, signature and the application at the token endpoint", async () => {
    const { cloud } = test.azure.test;
    const at = await pod("claims", "uploader");
    const { AZURE_FEDERATED_TOKEN_FILE: file } = (await (await fetch(`${at}/env`)).json()) as Properties;
    const assertion = await (await fetch(`${at}/file?path=${encodeURIComponent(file)}`)).text();
    const exchange = (more: Properties) =>
      cloud.call({
        service: "entra",
        operation: "GetToken",
        as: { kind: "anonymous" },
        input: {
          grant_type: "client_credentials",
          client_id: identity.outputs.clientId,
          client_assertion: assertion,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          scope: `${STORAGE}/.default`,
          ...more,
        },
      });
    assert.equal((await exchange({})).token_type, "Bearer");
    const [header, payload, signature] = assertion.split(".") as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString());
    const forged = (changes: Properties) =>
      [header, Buffer.from(JSON.stringify({ ...claims, ...changes })).toString("base64url"), signature].join(".");
    await assert.rejects(
      exchange({ client_assertion: forged({ exp: claims.exp + 1 }) }),
      /AADSTS50013: Assertion failed signature validation/,
    );
    await assert.rejects(
      exchange({ client_assertion: forged({ iss: "https://token.actions.example/" }) }),
      /AADSTS700211.*issuer 'https:\/\/token\.actions\.example\/'/,
    );
    await assert.rejects(exchange({ client_assertion: forged({ aud: ["api://else"] }) }), /AADSTS700212.*audience 'api:\/\/else'/);
    await assert.rejects(exchange({ client_id: "00000000-0000-4000-8000-000000000000" }), /AADSTS700016/);
    await assert.rejects(exchange({ client_assertion: "nonsense" }), /AADSTS50027/);
    await assert.rejects(exchange({ scope: STORAGE }), /AADSTS1002012/);
    await assert.rejects(exchange({ grant_type: "password" }), /AADSTS70003/);
  });

  it("is published by the cluster's issuer", async () => {
    const issuer: string = test.cluster.outputs.oidcIssuerProfile.issuerURL;
    const path = new URL(issuer).pathname;
    const server = `/${test.cluster.outputs.resourceUID}`;
    const up = "..";
    const configuration = await test.get(`/${up}${path}.well-known/openid-configuration`);
    assert.equal(configuration.issuer, issuer, server);
    const { keys } = await test.get(`/${up}${new URL(configuration.jwks_uri).pathname}`);
    assert.deepEqual([keys.length, keys[0].kty, "d" in keys[0]], [1, "RSA", false]);
  });

  it("takes one credential for each issuer and subject", async () => {
    await assert.rejects(
      federate({}),
      /Conflict: .*has a credential for this issuer and subject already|has a credential for this issuer and subject already/,
    );
    await assert.rejects(federate({ subject: "x", audiences: ["one", "two"] }), /there must be one/);
    await assert.rejects(federate({ resourceName: "nobody", subject: "x" }), /There is no user-assigned identity "nobody"/);
  });
});
