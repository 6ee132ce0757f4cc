import { parseArgs } from "node:util";
import type { CloudName } from "../local/index.js";
import { UsageError } from "./errors.js";
import { port, required } from "./options.js";

/** What the person asked for on the command line of `npm run cloud`. */
export interface CloudOptions {
  /** The region of AWS that the embedded cloud is. */
  region: string;
  /** Whose services run; none means all. */
  only: CloudName[];
  /** Port of the first HTTP API that is deployed. */
  port?: number;
  /** Where to write the environment. */
  env?: string;
  help: boolean;
}

/** What `--only` may say, and the services that it takes. */
const ONLY: Readonly<Record<string, CloudName[]>> = { aws: ["aws"], azure: ["azure", "kubernetes"] };

export const CLOUD_HELP = `Starts the embedded cloud for Pulumi's own CLI, and prints the environment with which pulumi deploys onto it.

Usage: npm run cloud [-- OPTIONS]

  --only CLOUD     aws or azure: only its services run (default: all)
  --region REGION  the region of AWS that it is (default: eu-west-1)
  --port N         port of the first HTTP API that is deployed (default: a free one)
  --env FILE       write the environment to FILE as well, once all is ready
  --help           show this

In another terminal, with a stack's configuration of its own (the CLI adds a line to its file):

  source FILE
  cp Pulumi.aws.yaml Pulumi.local.yaml
  pulumi stack init local
  pulumi up

The cloud and the state of its stacks live until Ctrl+C.
`;

/** @throws UsageError saying which argument is wrong and what would be right. */
export function parseCloudOptions(argv: readonly string[]): CloudOptions {
  const text = { type: "string" } as const;
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: { only: text, region: text, port: text, env: text, help: { type: "boolean", short: "h" } },
  });
  const options: CloudOptions = { region: "eu-west-1", only: [], help: false };
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      throw new UsageError(`"${token.value}" is one argument too many: stacks are deployed by pulumi, in another terminal.`);
    }
    const { name, rawName, value } = token;
    if (name === "help") options.help = true;
    else if (name === "port") options.port = port(required(rawName, value, "a port number, such as 8080"));
    else if (name === "env") options.env = required(rawName, value, "a file");
    else if (name === "region") options.region = region(required(rawName, value, "a region, such as eu-west-1"));
    else if (name === "only") options.only = services(required(rawName, value, Object.keys(ONLY).join(" or ")));
    else throw new UsageError(`${rawName} is not an option. There are --only, --region, --port, --env and --help.`);
  }
  return options;
}

function region(value: string): string {
  if (/^[a-z]{2}(-[a-z]+)+-\d$/.test(value)) return value;
  throw new UsageError(`--region is "${value}": it must be a region of AWS, such as eu-west-1.`);
}

function services(value: string): CloudName[] {
  const clouds = Object.hasOwn(ONLY, value) ? ONLY[value] : undefined;
  if (clouds) return clouds;
  throw new UsageError(`--only is "${value}": it must be ${Object.keys(ONLY).join(" or ")}.`);
}
