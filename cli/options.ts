import { parseArgs } from "node:util";
import { UsageError } from "./errors.js";

/** What the person asked for on the command line. */
export interface Options {
  /** Which Pulumi.NAME.yaml. */
  stack: string;
  /** Process `files` (or the samples) and end. */
  once: boolean;
  /** Photos to process; empty means the samples. */
  files: string[];
  /** Port of the page and the API. */
  port?: number;
  /** Where to keep state from one start to the next. */
  data?: string;
  /** Where to write the stack's outputs. */
  outputs?: string;
  /** Where to write the declared resources. */
  graph?: string;
  help: boolean;
}

export const HELP = `Runs the image pipeline's own Pulumi program on an embedded cloud: no account, no CLI, no Docker.

Usage: npm start [-- [STACK] [OPTIONS]]

  STACK              which Pulumi.STACK.yaml to run (default: dev)

  --once [FILE...]   process the files (default: the sample photos), print one record per line as JSON on
                     stdout and end; exit code 0 only if every file completed (samples: ended as expected)
  --port N           port of the page and the API (default: a free one)
  --data DIR         keep everything in DIR, and go on from there at the next start
  --outputs FILE     write the stack's outputs to FILE as JSON, secrets included, once all is ready
  --graph FILE       write the declared resources to FILE as [{urn, type, name, inputs}]
  --help             show this

Examples:
  npm start                              the page, with the sample photos, until Ctrl+C
  npm start -- aws --once ~/cat.jpg      one photo through the AWS pipeline
  npm start -- --port 8080 --data .data  the same images and the same key after a restart
`;

/** @throws UsageError saying which argument is wrong and what would be right. */
export function parseOptions(argv: readonly string[]): Options {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: {
      once: { type: "boolean" },
      port: { type: "string" },
      data: { type: "string" },
      outputs: { type: "string" },
      graph: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const options: Options = { stack: "dev", once: false, files: [], help: false };
  let named = false;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      if (options.once) options.files.push(token.value);
      else if (named)
        throw new UsageError(`"${token.value}" is one argument too many: one stack can run at a time. Files go behind --once.`);
      else [options.stack, named] = [token.value, true];
      continue;
    }
    const { name, rawName, value } = token;
    if (name === "once" || name === "help") {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value; it was given "${value}".`);
      options[name] = true;
    } else if (name === "port") {
      options.port = port(required(rawName, value, "a port number, such as 8080"));
    } else if (name === "data" || name === "outputs" || name === "graph") {
      options[name] = required(rawName, value, name === "data" ? "a folder" : "a file");
    } else {
      throw new UsageError(`${rawName} is not an option. There are --once, --port, --data, --outputs, --graph and --help.`);
    }
  }
  return options;
}

/** @throws UsageError where nothing stands behind an option. */
export function required(option: string, value: string | undefined, what: string): string {
  if (!value || value.startsWith("--")) throw new UsageError(`${option} needs ${what} behind it.`);
  return value;
}

/** @throws UsageError for what is no port. */
export function port(value: string): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number < 1 || number > 65_535)
    throw new UsageError(`--port is "${value}": it must be a whole number from 1 to 65535.`);
  return number;
}
