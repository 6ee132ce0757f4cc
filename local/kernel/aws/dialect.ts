import { CloudError } from "../service.js";

/** Why a request's credentials are not accepted. */
export type CredentialProblem = "missing" | "malformed" | "unknown-key" | "bad-token" | "expired-token" | "wrong-signature" | "skewed";

type Wording = Record<CredentialProblem, [code: string, message: string, status: number]> & {
  denied: [code: string, status: number];
  unknownOperation: [code: string, status: number];
};

const WRONG_SIGNATURE =
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

const JSON_WORDING: Wording = {
  missing: ["MissingAuthenticationTokenException", "Missing Authentication Token", 403],
  malformed: ["IncompleteSignatureException", "The Authorization header is not complete.", 403],
  "unknown-key": ["UnrecognizedClientException", "The security token included in the request is invalid.", 403],
  "bad-token": ["UnrecognizedClientException", "The security token included in the request is invalid.", 403],
  "expired-token": ["ExpiredTokenException", "The security token included in the request is expired", 403],
  "wrong-signature": ["InvalidSignatureException", WRONG_SIGNATURE, 403],
  skewed: ["InvalidSignatureException", "Signature expired: it is more than 15 minutes from the server's time.", 403],
  denied: ["AccessDeniedException", 400],
  unknownOperation: ["UnknownOperationException", 400],
};

const QUERY_WORDING: Wording = {
  missing: ["MissingAuthenticationToken", "Request is missing Authentication Token", 403],
  malformed: ["IncompleteSignature", "The Authorization header is not complete.", 400],
  "unknown-key": ["InvalidClientTokenId", "The security token included in the request is invalid.", 403],
  "bad-token": ["InvalidClientTokenId", "The security token included in the request is invalid.", 403],
  "expired-token": ["ExpiredToken", "The security token included in the request is expired", 403],
  "wrong-signature": ["SignatureDoesNotMatch", WRONG_SIGNATURE, 403],
  skewed: ["SignatureDoesNotMatch", "Signature expired: it is more than 15 minutes from the server's time.", 403],
  denied: ["AccessDenied", 403],
  unknownOperation: ["InvalidAction", 400],
};

const S3_WORDING: Wording = {
  missing: ["AccessDenied", "Access Denied", 403],
  malformed: ["AuthorizationHeaderMalformed", "The authorization header that you provided is not valid.", 400],
  "unknown-key": ["InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403],
  "bad-token": ["InvalidToken", "The provided token is malformed or otherwise invalid.", 400],
  "expired-token": ["ExpiredToken", "The provided token has expired.", 400],
  "wrong-signature": [
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    403,
  ],
  skewed: ["RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", 403],
  denied: ["AccessDenied", 403],
  unknownOperation: ["NotImplemented", 501],
};

/** How each service words what the kernel refuses on its behalf; by the services' short names. */
const WORDINGS: Record<string, Wording> = {
  s3: S3_WORDING,
  sns: { ...QUERY_WORDING, denied: ["AuthorizationError", 403] },
  sts: QUERY_WORDING,
  iam: QUERY_WORDING,
  monitoring: { ...QUERY_WORDING },
  sqs: { ...JSON_WORDING, denied: ["AccessDeniedException", 403] },
  lambda: { ...JSON_WORDING, denied: ["AccessDeniedException", 403], unknownOperation: ["UnknownOperationException", 404] },
};

const wordingOf = (service: string): Wording => WORDINGS[service] ?? JSON_WORDING;

/** The error that a service answers with to credentials that it does not accept. */
export function credentialError(service: string, problem: CredentialProblem, message?: string): CloudError {
  const [code, usual, status] = wordingOf(service)[problem];
  return new CloudError(code, message ?? usual, status);
}

/** The error that a service answers with to a caller who may not do what it asks. */
export function deniedError(service: string, message: string): CloudError {
  const [code, status] = wordingOf(service).denied;
  return new CloudError(code, message, status);
}

/** The error for an API call that the embedded cloud has not got. */
export function unknownOperationError(service: string, operation: string): CloudError {
  const [code, status] = wordingOf(service).unknownOperation;
  return new CloudError(code, `The embedded cloud does not implement ${service}:${operation}`, status);
}
