import engine from "@pulumi/pulumi/proto/engine_pb.js";

export type Severity = "debug" | "info" | "warning" | "error";

/** Told what the program, or the engine about it, has to say; `urn` is of the resource that it is about, or empty. */
export type Log = (severity: Severity, message: string, urn: string) => void;

const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

/**
 * Pulumi's Engine service as an object of this process, in the place of a client of it. What it is there for is the log, of which the SDK
 * writes a lot; and once a message could not be delivered, because a server is gone, the SDK delivers no other to anybody in this process.
 */
export class EngineClient {
  #stack = "";

  constructor(private readonly onLog: Log) {}

  log(request: engine.LogRequest, done: Done<unknown>): void {
    this.onLog(SEVERITIES[request.getSeverity()] ?? "info", request.getMessage(), request.getUrn());
    done(null, {});
  }

  setRootResource(request: engine.SetRootResourceRequest, done: Done<engine.SetRootResourceResponse>): void {
    this.#stack = request.getUrn();
    done(null, new engine.SetRootResourceResponse());
  }

  getRootResource(_request: engine.GetRootResourceRequest, done: Done<engine.GetRootResourceResponse>): void {
    done(null, new engine.GetRootResourceResponse().setUrn(this.#stack));
  }

  requirePulumiVersion(_request: engine.RequirePulumiVersionRequest, done: Done<engine.RequirePulumiVersionResponse>): void {
    done(null, new engine.RequirePulumiVersionResponse());
  }
}

type Done<Response> = (error: null, response: Response) => void;
