import type { PolicyDocument, PolicyStatement } from "@pulumi/aws/iam/index.js";
import type { Input } from "@pulumi/pulumi";

/** What something may do: actions, on which resources, and when. */
export interface Statement {
  /** `"s3:GetObject"`: exactly what is used. */
  Action: string | string[];
  /** ARNs; `"*"` only for actions that know no resource, with a comment that says so. */
  Resource: Input<string> | Input<string>[];
  Condition?: Record<string, Record<string, Input<string> | Input<string>[]>>;
}

/** A policy of an identity, that grants `statements` and nothing else. */
export function grant(statements: readonly Statement[]): PolicyDocument {
  return { Version: "2012-10-17", Statement: statements.map((statement) => ({ Effect: "Allow" as const, ...statement })) };
}

/** The trust policy of a role that `service` (`"lambda.amazonaws.com"`) takes on. */
export function trust(service: string, condition?: Statement["Condition"]): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole", ...(condition && { Condition: condition }) }],
  };
}

/**
 * A resource's policy that refuses whatever does not come by TLS, and allows nothing but `allowed`.
 *
 * @param action what is refused: all of the service's (`"s3:*"`), as a wildcard that denies can be no too large grant
 */
export function tlsOnly(action: string, resources: Input<string>[], allowed: PolicyStatement[] = []): PolicyDocument {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: action,
        Resource: resources,
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
      ...allowed,
    ],
  };
}
