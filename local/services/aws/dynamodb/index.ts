import { jsonProtocol } from "../../../kernel/aws/protocols/json.js";
import type { Service } from "../../../kernel/service.js";
import { Engine } from "./engine.js";
import { expireItems } from "./expiry.js";
import { operations } from "./operations.js";
import { tableType } from "./table.js";

const TABLE = "aws:dynamodb/table:Table";
/** How often items that have expired are looked for. */
const SWEEP_MS = 60_000;

/** Amazon DynamoDB: dynalite's engine behind the kernel. No transactions, streams or PartiQL: calls for them are refused. */
export default function dynamodb(): Service {
  let engine: Engine | undefined;
  let sweep: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> = Promise.resolve();
  const started = (): Engine => {
    if (!engine) throw new Error("DynamoDB has not been started.");
    return engine;
  };
  return {
    name: "dynamodb",
    resources: { [TABLE]: tableType(started) },
    api: {
      protocol: jsonProtocol({
        signing: "dynamodb",
        target: "DynamoDB_20120810",
        version: "1.0",
        namespace: "com.amazonaws.dynamodb.v20120810",
      }),
      operations: operations(started),
    },
    async start(cloud, folder) {
      engine = await Engine.open(folder, cloud);
      const expire = async () => {
        for (const { id, inputs } of cloud.resources.all(TABLE))
          if (inputs.ttl?.enabled) await expireItems(started(), cloud, id, inputs.ttl.attributeName);
      };
      const failed = (error: unknown) => cloud.trace.add({ kind: "note", subject: "dynamodb", text: `Items could not expire: ${error}` });
      sweep = setInterval(() => {
        sweeping = sweeping.then(expire).catch(failed);
      }, SWEEP_MS).unref();
    },
    async stop() {
      clearInterval(sweep);
      await sweeping;
      await engine?.close();
      engine = undefined;
    },
  };
}
