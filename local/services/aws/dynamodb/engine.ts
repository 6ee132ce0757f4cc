import { createRequire } from "node:module";
import { join } from "node:path";
import db, { type Store } from "dynalite/db/index.js";
import validations from "dynalite/validations/index.js";
import { CloudError, type Properties } from "../../../kernel/service.js";

type Action = (store: Store, data: Properties, done: (error: Error | null, output?: unknown) => void) => void;

/** How dynalite reports what DynamoDB would refuse. */
interface EngineError extends Error {
  statusCode?: number;
  body?: { __type: string; message?: string; Message?: string };
}

/** Operations that change items. Those on one table happen one after the other. */
const WRITES = new Set(["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]);

const require = createRequire(import.meta.url);

/**
 * dynalite's validations and actions over LevelDB, called directly: there is no server that anybody could reach past the kernel.
 * What dynalite lacks is added here: the item that failed a condition, indexes that come and go, and indexes that are whole after a kill.
 */
export class Engine {
  readonly #store: Store;
  readonly #writing = new Map<string, Promise<unknown>>();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Opens the tables of `folder`. */
  static async open(folder: string, { account, region }: { account: string; region: string }): Promise<Engine> {
    const store = db.create({ path: join(folder, "tables"), createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
    await store.db.open();
    Object.assign(store.tableDb, { awsAccountId: account, awsRegion: region });
    return new Engine(store);
  }

  async close(): Promise<void> {
    await this.#store.db.close();
  }

  /** One API call. @throws CloudError as DynamoDB would */
  async run(operation: string, input: Properties): Promise<Properties> {
    if (!WRITES.has(operation)) return this.#act(operation, input);
    const tables = input.RequestItems ? Object.keys(input.RequestItems) : [input.TableName];
    return this.#exclusively(tables.map(String), () => this.#write(operation, input));
  }

  /** The names of all tables. */
  async tables(): Promise<string[]> {
    const { TableNames } = await this.#act("ListTables", {});
    return TableNames;
  }

  /** Makes a table and waits until it is there. */
  async createTable(input: Properties): Promise<Properties> {
    await this.#act("CreateTable", input);
    return this.#until(input.TableName, (table) => table?.TableStatus === "ACTIVE");
  }

  async deleteTable(name: string): Promise<void> {
    await this.#exclusively([name], async () => {
      await this.#act("DeleteTable", { TableName: name });
      await this.#until(name, (table) => table === undefined);
    });
  }

  /** The conditions of a Query on its keys, by attribute. `undefined` when it is not valid. */
  static keyConditions(input: Properties): Record<string, { AttributeValueList: Properties[] }> | undefined {
    const { types, custom } = require("dynalite/validations/query");
    try {
      const data = validations.checkTypes(structuredClone(input), types);
      validations.checkValidations(data, types, custom, {});
      return data.KeyConditions;
    } catch {
      return undefined;
    }
  }

  /** All items of a table, one by one. */
  items(table: string): AsyncIterable<Properties> {
    return this.#store.getItemDb(table).createValueStream({});
  }

  /** Gives a table these global indexes, and the attributes that they need: new ones are filled, old ones that are not named go. */
  async reindex(name: string, indexes: readonly Properties[], attributes: readonly Properties[]): Promise<void> {
    await this.#exclusively([name], async () => {
      const table = await this.#table(name);
      const arn = (index: string) => `${table.TableArn}/index/${index}`;
      for (const { IndexName } of table.GlobalSecondaryIndexes ?? []) await this.#clearIndex(name, IndexName);
      const described = indexes.map((index) => ({
        ...index,
        IndexArn: arn(index.IndexName),
        IndexSizeBytes: 0,
        ItemCount: 0,
        IndexStatus: "ACTIVE",
        ProvisionedThroughput: { ReadCapacityUnits: 0, WriteCapacityUnits: 0, NumberOfDecreasesToday: 0 },
      }));
      const { GlobalSecondaryIndexes: _, ...rest } = table;
      const changed = { ...rest, AttributeDefinitions: attributes, ...(described.length > 0 && { GlobalSecondaryIndexes: described }) };
      await promised<unknown>((done) => this.#store.tableDb.put(name, changed, done));
      await this.#fill(changed);
    });
  }

  /** Makes indexes agree with the items. dynalite writes them one after the other, and a kill may come between. */
  async repair(name: string): Promise<void> {
    await this.#exclusively([name], async () => {
      const table = await this.#table(name);
      for (const { IndexName } of table.GlobalSecondaryIndexes ?? []) await this.#clearIndex(name, IndexName);
      await this.#fill(table);
    });
  }

  async #write(operation: string, input: Properties): Promise<Properties> {
    try {
      return await this.#act(operation, input);
    } catch (error) {
      const refused = error instanceof CloudError && error.code === "ConditionalCheckFailedException";
      if (!refused || input.ReturnValuesOnConditionCheckFailure !== "ALL_OLD") throw error;
      // Nobody else writes to this table meanwhile: it is the very item that failed the condition.
      const Key = input.Key ?? (await this.#keyOf(input.TableName, input.Item));
      const { Item } = await this.#act("GetItem", { TableName: input.TableName, Key, ConsistentRead: true });
      throw new CloudError(error.code, error.message, error.status, Item ? { Item } : {});
    }
  }

  async #keyOf(name: string, item: Properties): Promise<Properties> {
    const { KeySchema } = await this.#table(name);
    return Object.fromEntries(KeySchema.map(({ AttributeName }: Properties) => [AttributeName, item[AttributeName]]));
  }

  async #act(operation: string, input: Properties): Promise<Properties> {
    const name = `${operation.charAt(0).toLowerCase()}${operation.slice(1)}`;
    const { types, custom } = require(`dynalite/validations/${name}`);
    const action: Action = require(`dynalite/actions/${name}`);
    try {
      // It strikes out what it does not know, so it gets a copy.
      const data = validations.checkTypes(structuredClone(input), types);
      validations.checkValidations(data, types, custom, this.#store);
      return await promised<Properties>((done) => action(this.#store, data, done));
    } catch (error) {
      throw translated(error as EngineError);
    }
  }

  #table(name: string): Promise<Properties> {
    return promised<Properties>((done) => this.#store.getTable(name, false, done)).catch((error) => {
      throw translated(error);
    });
  }

  async #until(name: string, reached: (table: Properties | undefined) => boolean): Promise<Properties> {
    for (;;) {
      const table = await this.#table(name).catch((error) => {
        if (error instanceof CloudError && error.code === "ResourceNotFoundException") return undefined;
        throw error;
      });
      if (reached(table)) return table ?? {};
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #clearIndex(table: string, index: string): Promise<void> {
    const prefix = `index-global~${table}~${index}~`;
    await this.#store.db.clear({ gte: prefix, lt: `${prefix}\xff` });
  }

  async #fill(table: Properties): Promise<void> {
    const indexes: Properties[] = table.GlobalSecondaryIndexes ?? [];
    if (indexes.length === 0) return;
    const typeOf = new Map<string, string>(
      table.AttributeDefinitions.map((attribute: Properties) => [attribute.AttributeName, attribute.AttributeType]),
    );
    for await (const item of this.items(table.TableName)) {
      // An item whose attribute has another type than the index's key is not in the index.
      const holding = indexes.filter(({ KeySchema }) =>
        KeySchema.every(({ AttributeName }: Properties) => item[AttributeName]?.[typeOf.get(AttributeName) as string] !== undefined),
      );
      for (const { index, key, item: projected } of db.getIndexActions(holding, null, item, table).puts)
        await promised<unknown>((done) => this.#store.getIndexDb("global", table.TableName, index).put(key, projected, done));
    }
  }

  /** Does work on tables while no other is done on any of them. */
  async #exclusively<T>(tables: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = Promise.all(tables.map((table) => this.#writing.get(table)));
    const done = before.then(work);
    const settled = done.catch(() => undefined);
    for (const table of tables) this.#writing.set(table, settled);
    try {
      return await done;
    } finally {
      for (const table of tables) if (this.#writing.get(table) === settled) this.#writing.delete(table);
    }
  }
}

function translated(error: EngineError): Error {
  if (error instanceof CloudError || !error.body) return error;
  const { __type, message, Message = message } = error.body;
  return new CloudError(__type.split("#").at(-1) as string, Message ?? error.message, error.statusCode);
}

function promised<T>(start: (done: (error: Error | null, result?: unknown) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result as T))));
}
