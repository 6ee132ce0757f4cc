import type { HttpRequest, HttpResponse } from "../../http.js";
import { CloudError, type Properties, type Protocol } from "../../service.js";
import { signingName } from "../sigv4.js";

export interface JsonProtocolOptions {
  /** The service's name in signatures: `"sqs"`. */
  signing: string;
  /** What `X-Amz-Target` begins with: `"AmazonSQS"`. */
  target: string;
  version: "1.0" | "1.1";
  /** Namespace of error types: `"com.amazonaws.sqs"`. */
  namespace?: string;
  /** For services that once spoke the query protocol: error code → the code of then. Codes that are not here are sent as they are. */
  queryErrors?: Readonly<Record<string, string>>;
}

/** awsJson1.0 and 1.1: every call is a POST to `/`, named by a header, JSON both ways. */
export function jsonProtocol({ signing, target, version, namespace, queryErrors }: JsonProtocolOptions): Protocol {
  const contentType = `application/x-amz-json-${version}`;
  return {
    claims(request) {
      const named = signingName(request);
      return (request.headers["x-amz-target"] ?? "").startsWith(`${target}.`) && (named === undefined || named === signing);
    },

    async decode(request) {
      const operation = request.headers["x-amz-target"]!.slice(target.length + 1);
      return { operation, input: parseJson(request) };
    },

    encode: (_operation, output) => ({ status: 200, headers: { "content-type": contentType }, body: JSON.stringify(output) }),

    encodeError({ code, message, status, details }: CloudError): HttpResponse {
      const side = status >= 500 ? "Receiver" : "Sender";
      return {
        status,
        headers: {
          "content-type": contentType,
          "x-amzn-errortype": code,
          ...(queryErrors ? { "x-amzn-query-error": `${queryErrors[code] ?? code};${side}` } : {}),
        },
        body: JSON.stringify({ __type: namespace ? `${namespace}#${code}` : code, message, ...details }),
      };
    },
  };
}

function parseJson({ body }: HttpRequest): Properties {
  if (body.length === 0) return {};
  try {
    const input: unknown = JSON.parse(body.toString("utf8"));
    if (typeof input === "object" && input !== null && !Array.isArray(input)) return input as Properties;
  } catch {
    // Answered below, as for JSON that is no object.
  }
  throw new CloudError("SerializationException", "The request's body is not a JSON object.", 400);
}
