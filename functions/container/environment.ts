import { z } from "zod";

const text = z.string().min(1);
const seconds = (most: number) => z.coerce.number().min(0).max(most);

/** What may be declared for a container beside what all of Azure knows (functions/azure/environment.ts); where there is a default, it need not be. */
const VARIABLES = {
  PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Port of probes and metrics, by plain HTTP, which the cluster alone reaches. Where it is not given, they are at the other port, too. */
  PROBES_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  /** Address to listen on. */
  HOST: text.default("0.0.0.0"),
  /** Seconds from SIGTERM until what is under way is given up; less than the pod's grace period. */
  SHUTDOWN_GRACE_SECONDS: seconds(600).optional(),
  /** Seconds after SIGTERM in which requests are still taken, until every load balancer knows. */
  DRAIN_SECONDS: seconds(120).default(5),
  /** Certificate and its key, PEM: with both, the port speaks TLS. */
  TLS_CERTIFICATE: text.optional(),
  TLS_KEY: text.optional(),
  /** Messages that one processor works on at a time. */
  CONCURRENCY: z.coerce.number().int().min(1).max(32).default(2),
  /** Seconds that a message is out of others' sight, and back in it when its processor dies; renewed at a third. */
  VISIBILITY_SECONDS: z.coerce.number().int().min(3).max(3_600).default(120),
  /** Seconds that one delivery of a message may take, after which its processor is to be started anew. */
  DEADLINE_SECONDS: z.coerce.number().min(1).max(3_600).default(300),
  /** Deliveries of a message after which it is parked: with the seconds between them, what is away for some four minutes is waited for. */
  MAX_ATTEMPTS: z.coerce.number().int().min(1).max(100).default(8),
  /** Seconds after which a message is tried again that has failed once; twice as many each time, up to 60. */
  RETRY_SECONDS: z.coerce.number().min(0).max(60).default(5),
  /** Seconds between two looks for images that got lost. */
  SWEEP_SECONDS: z.coerce.number().min(1).max(3_600).default(300),
  /** The storage account by its key, where there is no identity: Azurite. */
  STORAGE_ACCOUNT_NAME: text.optional(),
  STORAGE_ACCOUNT_KEY: z.base64().optional(),
  /** Table that records are kept in where there is no database: Azurite. */
  RECORDS_TABLE: text.optional(),
  /** Seconds between two looks into the container, where nobody sends events: Azurite. */
  WATCH_SECONDS: z.coerce.number().min(0.1).max(60).optional(),
};

type Options = { [Name in keyof typeof VARIABLES]: z.infer<(typeof VARIABLES)[Name]> };

/**
 * The values of these variables, or their defaults.
 *
 * @throws Error naming the variable that is wrong, and what is wrong with it.
 */
export function options<Name extends keyof Options>(...names: Name[]): Pick<Options, Name> {
  const values = names.map((name) => {
    const value = process.env[name] || undefined;
    const { success, data, error } = (VARIABLES[name] as z.ZodType).safeParse(value);
    if (!success) throw new Error(`${name} is ${JSON.stringify(value)}: ${z.prettifyError(error)}`);
    return [name, data];
  });
  return Object.fromEntries(values) as Pick<Options, Name>;
}
