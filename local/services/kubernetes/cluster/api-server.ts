import { TENANT } from "../../../kernel/azure/arm.js";
import { json } from "../../../kernel/azure/rest.js";
import type { HttpRequest } from "../../../kernel/http.js";
import { CloudError, type Properties, type Protocol } from "../../../kernel/service.js";
import { KINDS, PATCHES } from "./kinds.js";

/** Objects that are asked for over the wire, beside those that are declared. */
const PODS = { kind: "Pod", apiVersion: "v1", plural: "pods", namespaced: true };

const MERGES = ["application/merge-patch+json", "application/strategic-merge-patch+json"];

const UID = "(?<cluster>[0-9a-f-]{36})";

/**
 * The API server's wire format, as far as it is answered: reading objects and pods, a pod's log, deleting a pod, patching what can be
 * patched, and asking what one may do; and the public keys of the cluster's issuer. Objects are declared through Pulumi, not over the wire.
 */
export const PROTOCOL: Protocol = {
  claims: () => true,
  async decode(request) {
    const { pathname, searchParams } = request.url;
    const { method } = request;
    const open = new RegExp(`^/${TENANT}/${UID}/(\\.well-known/openid-configuration|openid/v1/jwks)$`).exec(pathname);
    if (open)
      return { operation: pathname.endsWith("jwks") ? "GetOpenIdKeys" : "GetOpenIdConfiguration", input: { uid: open.groups?.cluster } };
    const { cluster: uid, path = "" } = new RegExp(`^/${UID}(?<path>/.*)$`).exec(pathname)?.groups ?? {};
    if (uid === undefined) throw notFound(request);
    if (path === "/version" && method === "GET") return { operation: "GetVersion", input: { uid } };
    if (/^\/(healthz|livez|readyz)$/.test(path) && method === "GET") return { operation: "GetHealth", input: { uid } };
    if (path === "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" && method === "POST") {
      return { operation: "ReviewAccess", input: { uid, review: parsed(request) } };
    }
    const { api, namespace, plural, name, log } =
      /^\/(?:api|apis)\/(?<api>v1|[^/]+\/[^/]+)(?:\/namespaces\/(?<namespace>[^/]+)(?=\/))?\/(?<plural>[a-z]+)(?:\/(?<name>[^/]+)(?<log>\/log)?)?$/.exec(
        path,
      )?.groups ?? {};
    const kind = [...KINDS, PODS].find((one) => one.plural === plural && one.apiVersion === api);
    if (!kind) throw notFound(request);
    const input = { uid, kind: kind.kind, namespace, name, labels: searchParams.get("labelSelector") ?? "" };
    if (method === "GET") return { operation: log ? "GetLog" : name ? "Get" : "List", input };
    if (method === "DELETE" && kind === PODS && name) return { operation: "DeletePod", input };
    if (method === "PATCH" && name && PATCHES.some((one) => one.kind === kind.kind)) {
      const type = request.headers["content-type"] ?? "";
      if (!MERGES.includes(type.split(";")[0] as string)) {
        throw new CloudError("UnsupportedMediaType", `the body is ${type}: the embedded cluster takes ${MERGES.join(" and ")}`, 415);
      }
      return { operation: "Patch", input: { ...input, patch: parsed(request) } };
    }
    throw new CloudError(
      "MethodNotAllowed",
      `The embedded cluster takes no ${method} of ${plural} here: declare objects through Pulumi.`,
      405,
    );
  },
  encode: (_operation, output) => output.response ?? json(output.kind === "SelfSubjectAccessReview" ? 201 : 200, output),
  encodeError: ({ code, message, status }) =>
    json(status, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason: code, code: status }),
};

const notFound = ({ method, url }: HttpRequest): CloudError =>
  new CloudError(
    "NotFound",
    `the server could not find the requested resource: the embedded cluster does not answer ${method} ${url.pathname}`,
    404,
  );

function parsed({ body }: HttpRequest): Properties {
  try {
    return JSON.parse(body.toString()) as Properties;
  } catch (error) {
    throw new CloudError("BadRequest", `the body is not JSON: ${(error as Error).message}`, 400);
  }
}
