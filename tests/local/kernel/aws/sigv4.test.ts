import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { readSignature, signingKey, verifySignature } from "../../../../local/kernel/aws/sigv4.js";
import type { HttpRequest } from "../../../../local/kernel/http.js";
import type { CloudError } from "../../../../local/kernel/service.js";

const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET };
const config = { region: "us-east-1", credentials, endpoint: "http://127.0.0.1:4566" };

/** What an SDK client would send, caught before it is. */
async function sentBy(send: (handler: { handle(request: any): Promise<never> }) => Promise<unknown>): Promise<HttpRequest> {
  let request: HttpRequest | undefined;
  const handle = async ({ method, path, query, headers, body }: any): Promise<never> => {
    const search = Object.entries(query as Record<string, string>).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    );
    request = requestOf(method, `${path}${search.length ? `?${search.join("&")}` : ""}`, headers, Buffer.from(body ?? ""));
    throw new Error("caught");
  };
  await send({ handle }).catch((error) => assert.equal(error.message, "caught"));
  return request!;
}

function requestOf(method: string, target: string, headers: Record<string, string>, body: Buffer = Buffer.alloc(0)): HttpRequest {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { method, target, url: new URL(`http://127.0.0.1:4566${target}`), headers: { host: "127.0.0.1:4566", ...lower }, body };
}

const presigned = (url: string, method = "GET", headers = {}, body?: Buffer) => {
  const { pathname, search } = new URL(url);
  return requestOf(method, `${pathname}${search}`, headers, body);
};

function verify(request: HttpRequest, { secret = SECRET, now = new Date(), region = "us-east-1" } = {}): void {
  const signature = readSignature(request);
  assert(signature, "the request has a signature");
  verifySignature(request, signature, secret, { region, now });
}

const refused = (request: HttpRequest, code: string, options: Parameters<typeof verify>[1] = {}, message?: RegExp) =>
  assert.throws(
    () => verify(request, options),
    (error: CloudError) => error.code === code && (!message || message.test(error.message)),
  );

const later = (minutes: number) => new Date(Date.now() + minutes * 60_000);

describe("Signatures of version 4", () => {
  const put = (Key: string, more = {}) =>
    sentBy((requestHandler) =>
      new S3Client({ ...config, requestHandler: requestHandler as never, requestChecksumCalculation: "WHEN_REQUIRED" }).send(
        new PutObjectCommand({ Bucket: "photos", Key, Body: "bytes", ...more }),
      ),
    );

  for (const key of ["a.png", "a b+c.png", "é/ü.png", "a//b", "a/../b", "100%.png", "!'()*~", "a%2Fb"]) {
    it(`are right over S3's key ${key}`, async () => verify(await put(key)));
  }

  it("are right over paths that are encoded twice, as all but S3 do", () => {
    const date = new Date("2026-11-21T10:00:00Z");
    const canonical = [
      "GET",
      "/2015-03-31/functions/arn%253Aaws/invocations",
      "",
      "host:127.0.0.1:4566",
      "x-amz-date:20261121T100000Z",
      "",
      "host;x-amz-date",
      sha256(""),
    ];
    verify(signed("GET", "/2015-03-31/functions/arn%3Aaws/invocations", "lambda", canonical), { now: date });
    refused(signed("GET", "/2015-03-31/functions/arn%3Aaws/invocations", "s3", canonical), "InvalidRequest", { now: date });
  });

  it("are right over JSON calls, and cover the body", async () => {
    const request = await sentBy((requestHandler) =>
      new SSMClient({ ...config, requestHandler: requestHandler as never }).send(new GetParameterCommand({ Name: "key" })),
    );
    verify(request);
    refused({ ...request, body: Buffer.from('{"Name":"yek"}') }, "InvalidSignatureException");
  });

  it("are wrong with another secret, method, path, query, header or region", async () => {
    const request = await put("a.png", { Metadata: { user: "ann" } });
    verify(request);
    refused(request, "SignatureDoesNotMatch", { secret: "other" });
    refused({ ...request, method: "POST" }, "SignatureDoesNotMatch");
    refused({ ...request, target: request.target.replace("a.png", "b.png") }, "SignatureDoesNotMatch");
    refused({ ...request, target: `${request.target}&acl=` }, "SignatureDoesNotMatch");
    refused({ ...request, headers: { ...request.headers, "x-amz-meta-user": "bob" } }, "SignatureDoesNotMatch");
    refused(request, "AuthorizationHeaderMalformed", { region: "eu-west-1" }, /expecting 'eu-west-1'/);
  });

  it("do not let headers in that they do not cover", async () => {
    const request = await put("a.png");
    refused({ ...request, headers: { ...request.headers, "x-amz-meta-user": "ann" } }, "AccessDenied", {}, /not signed/);
  });

  it("hold for 15 minutes either way", async () => {
    const request = await put("a.png");
    verify(request, { now: later(14) });
    verify(request, { now: later(-14) });
    refused(request, "RequestTimeTooSkewed", { now: later(16) });
    refused(request, "RequestTimeTooSkewed", { now: later(-16) });
  });

  it("find a body that is not the one that was signed", async () => {
    const request = await put("a.png");
    refused({ ...request, body: Buffer.from("other") }, "XAmzContentSHA256Mismatch");
  });

  it("leave chunks that carry checks of their own to S3", () => {
    const payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    const headers = ["host:127.0.0.1:4566", `x-amz-content-sha256:${payload}`, "x-amz-date:20261121T100000Z"];
    const canonical = ["PUT", "/photos/a", "", ...headers, "", "host;x-amz-content-sha256;x-amz-date", payload];
    const request = signed("PUT", "/photos/a", "s3", canonical, { "x-amz-content-sha256": payload });
    const now = new Date("2026-11-21T10:00:00Z");
    verify({ ...request, body: Buffer.from("5\r\nbytes\r\n0\r\n\r\n") }, { now });
    refused({ ...request, headers: { ...request.headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } }, "SignatureDoesNotMatch", { now });
  });

  describe("in a URL", () => {
    const link = (expiresIn = 60) =>
      getSignedUrl(new S3Client(config), new GetObjectCommand({ Bucket: "photos", Key: "a b.png" }), { expiresIn });

    it("are right until they expire", async () => {
      const url = await link();
      verify(presigned(url), { now: new Date(Date.now() + 59_000) });
      refused(presigned(url), "AccessDenied", { now: new Date(Date.now() + 62_000) }, /^Request has expired$/);
    });

    it("do not work 16 minutes before their time", async () => {
      refused(presigned(await link()), "AccessDenied", { now: later(-16) }, /not yet valid/);
    });

    it("fix key, method, expiry and everything else of the query", async () => {
      const url = await link();
      refused(presigned(url.replace("a%20b", "b")), "SignatureDoesNotMatch");
      refused(presigned(url, "DELETE"), "SignatureDoesNotMatch");
      refused(presigned(url.replace("Expires=60", "Expires=6000")), "SignatureDoesNotMatch");
      refused(presigned(`${url}&versionId=1`), "SignatureDoesNotMatch");
    });

    it("do not let headers in that they do not cover", async () => {
      refused(presigned(await link(), "GET", { "x-amz-meta-user": "ann" }), "AccessDenied", {}, /not signed/);
    });

    it("fix the headers that they cover", async () => {
      const command = new PutObjectCommand({ Bucket: "photos", Key: "a.png", ContentLength: 5, ContentType: "image/png" });
      const client = new S3Client({ ...config, requestChecksumCalculation: "WHEN_REQUIRED" });
      const url = await getSignedUrl(client, command, {
        expiresIn: 60,
        signableHeaders: new Set(["host", "content-type", "content-length"]),
      });
      const headers = { "content-type": "image/png", "content-length": "5" };
      verify(presigned(url, "PUT", headers, Buffer.from("bytes")));
      refused(presigned(url, "PUT", { ...headers, "content-length": "6" }), "SignatureDoesNotMatch");
      refused(presigned(url, "PUT", { ...headers, "content-type": "text/html" }), "SignatureDoesNotMatch");
      refused(presigned(url, "PUT", { "content-type": "image/png" }), "SignatureDoesNotMatch");
    });

    it("live a week at most, and name all their parts", async () => {
      const url = await link();
      refused(presigned(url.replace("Expires=60", "Expires=604801")), "AuthorizationQueryParametersError");
      refused(presigned(url.replace("Expires=60", "Expires=soon")), "AuthorizationQueryParametersError");
      refused(presigned(url.replace(/&X-Amz-Date=[^&]+/, "")), "AuthorizationQueryParametersError");
      refused(presigned(url.replace("HMAC-SHA256", "HMAC-MD5")), "AuthorizationQueryParametersError");
    });
  });

  it("derive the key of AWS's own example", () => {
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html
    const key = signingKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
    assert.equal(key.toString("hex"), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
  });

  it("are malformed without their parts", () => {
    const headers = { authorization: "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/sqs/aws4_request, SignedHeaders=host" };
    assert.throws(() => readSignature(requestOf("POST", "/", headers)), { code: "IncompleteSignatureException" });
    assert.equal(readSignature(requestOf("POST", "/", {})), undefined);
  });
});

const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest("hex");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A request signed by hand over a canonical form. */
function signed(method: string, target: string, service: string, canonical: string[], headers: Record<string, string> = {}): HttpRequest {
  const [at, date] = ["20261121T100000Z", "20261121"];
  const scope = `${date}/us-east-1/${service}/aws4_request`;
  const stringToSign = ["AWS4-HMAC-SHA256", at, scope, sha256(canonical.join("\n"))].join("\n");
  const signature = hmac(signingKey(SECRET, date, "us-east-1", service), stringToSign);
  const names = ["host", "x-amz-date", ...Object.keys(headers)].sort().join(";");
  const authorization = `AWS4-HMAC-SHA256 Credential=AKID/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return requestOf(method, target, { ...headers, authorization, "x-amz-date": at });
}
