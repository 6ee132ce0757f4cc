/** A request as it came over the wire, read to its end. */
export interface HttpRequest {
  method: string;
  /** Path and query exactly as sent, not decoded: signatures are over these bytes. */
  target: string;
  /** Parsed from `target`. */
  url: URL;
  /** Lower-case names; repeated headers joined with a comma. */
  headers: Record<string, string>;
  body: Buffer;
  /** Address of the peer. */
  peer?: string;
  /** Name of the HTTPS endpoint that it came to; none is the endpoint that all services share. */
  endpoint?: string;
  /** Whether it came by plain HTTP to an HTTPS endpoint. */
  plain?: boolean;
}

export interface HttpResponse {
  status: number;
  headers?: Record<string, string | string[]>;
  body?: Buffer | string;
}
