import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import type { Properties } from "../../../kernel/service.js";
import type { Pace } from "./pace.js";
import { pause } from "./pace.js";

/** A probe as declared, with Kubernetes' defaults. */
export interface Probe {
  httpGet?: { path: string; port: string | number; scheme: "HTTP" | "HTTPS"; httpHeaders?: { name: string; value: string }[] };
  tcpSocket?: { port: string | number };
  /** Seconds. */
  initialDelay: number;
  /** Seconds. */
  period: number;
  /** Seconds. */
  timeout: number;
  failureThreshold: number;
  successThreshold: number;
}

export function probeOf(declared: Properties | undefined): Probe | undefined {
  if (!declared) return undefined;
  const { httpGet, tcpSocket } = declared;
  return {
    ...(httpGet && { httpGet: { ...httpGet, path: httpGet.path ?? "/", scheme: (httpGet.scheme ?? "HTTP").toUpperCase() } }),
    ...(tcpSocket && { tcpSocket }),
    initialDelay: declared.initialDelaySeconds ?? 0,
    period: declared.periodSeconds ?? 10,
    timeout: declared.timeoutSeconds ?? 1,
    failureThreshold: declared.failureThreshold ?? 3,
    successThreshold: declared.successThreshold ?? 1,
  };
}

/** Asks once, at the port that the container's own is mapped to. @returns what is wrong, or nothing */
export async function ask({ httpGet, tcpSocket, timeout }: Probe, portOf: (port: string | number) => number): Promise<string | undefined> {
  const milliseconds = timeout * 1_000;
  if (tcpSocket) return reach(portOf(tcpSocket.port), milliseconds);
  if (httpGet) return get(httpGet, portOf(httpGet.port), milliseconds);
  return undefined;
}

function get(
  { path, scheme, httpHeaders = [] }: NonNullable<Probe["httpGet"]>,
  port: number,
  timeout: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = Object.fromEntries([["user-agent", "kube-probe/1.35"], ...httpHeaders.map(({ name, value }) => [name, value])]);
    const options = { host: "127.0.0.1", port, path, headers, agent: false, rejectUnauthorized: false };
    const request = (scheme === "HTTPS" ? https : http).get(options, (response) => {
      const { statusCode: status = 0 } = response;
      response.resume();
      clearTimeout(timer);
      resolve(status >= 200 && status < 400 ? undefined : `HTTP probe failed with statuscode: ${status}`);
    });
    const timer = setTimeout(
      () => request.destroy(new Error("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")),
      timeout,
    );
    request.on("error", (error) => {
      clearTimeout(timer);
      resolve(`Get "${scheme.toLowerCase()}://127.0.0.1:${port}${path}": ${error.message}`);
    });
  });
}

function reach(port: number, timeout: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, timeout });
    const done = (problem?: string) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once("connect", () => done());
    socket.once("timeout", () => done(`dial tcp 127.0.0.1:${port}: i/o timeout`));
    socket.once("error", (error) => done(`dial tcp 127.0.0.1:${port}: ${error.message}`));
  });
}

/** Milliseconds between two looks at what has just started, at first; each wait is half as long again. */
const EAGER = 100;

export interface Watch {
  probe: Probe;
  portOf(port: string | number): number;
  pace: Pace;
  signal: AbortSignal;
  /** Until it has succeeded once, it is asked more often than declared: what is ready is known to be ready at once. Failures count per period. */
  eager: boolean;
  /** After as many successes, or failures, in a row as declared; only where that is news. */
  onChange(succeeds: boolean, problem?: string): void;
}

/** Asks again and again until the signal says that it is enough. */
export async function watch({ probe, portOf, pace, signal, eager, onChange }: Watch): Promise<void> {
  if (!(await pace.sleep(probe.initialDelay, signal))) return;
  let state: boolean | undefined;
  let run = 0;
  let last: boolean | undefined;
  while (!signal.aborted) {
    const problem = await ask(probe, portOf);
    if (signal.aborted) return;
    const succeeds = problem === undefined;
    run = succeeds === last ? run + 1 : 1;
    last = succeeds;
    if (state !== succeeds && run >= (succeeds ? probe.successThreshold : probe.failureThreshold)) {
      state = succeeds;
      onChange(succeeds, problem);
    }
    const until = performance.now() + (probe.period * 1_000) / pace.factor;
    for (let wait = EAGER; eager && state !== true && probe.successThreshold === 1 && performance.now() + wait < until; wait *= 1.5) {
      if (!(await pause(wait, signal))) return;
      if ((await ask(probe, portOf)) !== undefined) continue;
      if (signal.aborted) return;
      [state, run, last] = [true, 1, true];
      onChange(true);
    }
    if (!(await pause(Math.max(0, until - performance.now()), signal))) return;
  }
}
