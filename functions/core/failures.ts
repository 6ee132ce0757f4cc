/**
 * Why an image could not be processed: a stable code per reason, with what it means.
 * A failure is a result (recorded, notified, queryable); it is never retried.
 */
export const FAILURES = {
  EMPTY: "The file has no bytes.",
  SIZE_LIMIT: "The file is larger than the pipeline's limit in bytes.",
  PIXEL_LIMIT: "The image has more pixels than the pipeline's limit.",
  UNSUPPORTED_FORMAT: "The content is not of an accepted format, whatever its name says.",
  UNSUPPORTED_CODEC: "The container is known, but its codec is not decoded here (HEIC with HEVC, for example).",
  TRUNCATED: "The file ends before the image does.",
  CORRUPT: "The content claims a format and then breaks its rules.",
  TIMEOUT: "Processing took longer than one image may take.",
  INTERNAL: "The infrastructure failed, not the image: the work is parked in the dead-letter queue and can be redriven.",
} as const;

/** A failure's stable code. */
export type FailureCode = keyof typeof FAILURES;

/** What a failed record carries. */
export interface Failure {
  code: FailureCode;
  /** One sentence for a person, with the figures that matter. */
  message: string;
}

/**
 * Thrown by a stage that refuses the image itself. Workflows catch it by its name, and record it; anything else that is
 * thrown is the infrastructure's, and is retried.
 */
export class ImageRefused extends Error {
  override readonly name = "ImageRefused";

  constructor(
    readonly code: FailureCode,
    message: string = FAILURES[code],
  ) {
    super(message);
  }

  get failure(): Failure {
    return { code: this.code, message: this.message };
  }

  /** The same refusal after a workflow engine turned it into JSON text, if the text is one. */
  static describe(code: FailureCode, message: string): string {
    return JSON.stringify({ code, message } satisfies Failure);
  }
}
