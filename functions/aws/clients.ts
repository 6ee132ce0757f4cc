import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SFNClient } from "@aws-sdk/client-sfn";
import { SNSClient } from "@aws-sdk/client-sns";
import { SQSClient } from "@aws-sdk/client-sqs";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";

/*
 * One factory per service, called at the top of the modules that use it: a client is made once per environment, and a package holds only
 * the clients of its handler. Where the services are, and as whom to call them, is the environment's to say.
 */

const retries = { maxAttempts: 4, retryMode: "standard" } as const;

/** Short calls: what takes longer than this hangs, and is better tried again. Milliseconds. */
const short = { connectionTimeout: 2_000, requestTimeout: 5_000, throwOnRequestTimeout: true };

export const s3 = () =>
  new S3Client({
    ...retries,
    // Whole files, so no limit on the call, but on silence.
    requestHandler: { connectionTimeout: 2_000, socketTimeout: 10_000 },
    // By default a presigned URL carries the checksum of an empty body, and every upload with it fails.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });

export const dynamodb = () =>
  DynamoDBDocumentClient.from(new DynamoDBClient({ ...retries, requestHandler: short }), {
    marshallOptions: { removeUndefinedValues: true },
  });

/** The endpoint is the region's, not the queue URL's, so that one setting redirects it like every other service. */
export const sqs = () => new SQSClient({ ...retries, requestHandler: short, useQueueUrlAsEndpoint: false });

export const sns = () => new SNSClient({ ...retries, requestHandler: short });

export const secretsManager = () => new SecretsManagerClient({ ...retries, requestHandler: short });

export const stepFunctions = () => new SFNClient({ ...retries, requestHandler: short });
