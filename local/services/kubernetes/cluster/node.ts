import type { Properties } from "../../../kernel/service.js";
import type { Lookup } from "./environment.js";
import type { Pace } from "./pace.js";

/** An image as it was pulled. */
export interface PulledImage {
  digest: string;
  /** Folder of its file system. */
  root: string;
  config: {
    entrypoint: string[];
    command: string[];
    environment: Record<string, string>;
    workingFolder: string;
    user: string;
    stopSignal: string;
  };
}

/** What a node offers the pods that run on it. */
export interface Node {
  pace: Pace;
  /** Path of the authority's certificate (PEM) of whatever speaks TLS in this cloud. */
  authority: string;
  /** Folder for what pods write. */
  folder: string;
  /** What every container finds in its environment. */
  environment: Readonly<Record<string, string>>;
  /** @throws Error when the registry has it not, or does not give it out */
  pull(image: string): Promise<PulledImage>;
  lookup(namespace: string): Lookup;
  /** What the admission webhook of workload identity adds to a pod that asks for it. */
  workloadIdentity(pod: { namespace: string; serviceAccount: string; name: string; uid: string }): WorkloadIdentity | undefined;
  /** A line that a container wrote. */
  log(pod: string, container: string, line: string, stream: "stdout" | "stderr"): void;
  /** Something that happened to a pod, or because of it. */
  note(subject: string, text: string, detail?: Properties): void;
}

/** How a pod proves to Microsoft Entra who it is. */
export interface WorkloadIdentity {
  /** Beside `AZURE_FEDERATED_TOKEN_FILE`. */
  environment: Readonly<Record<string, string>>;
  /** A token that lasts so many seconds. */
  token(lifetime: number): Promise<string>;
}
