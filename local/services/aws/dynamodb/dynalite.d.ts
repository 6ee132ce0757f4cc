/** What the embedded cloud uses of dynalite, which has no types: the actions themselves, without its HTTP server. */
declare module "dynalite/db/index.js" {
  /** JSON of DynamoDB's API. */
  type Json = import("../../../kernel/service.js").Properties;

  type Done = (error: Error | null, result?: unknown) => void;

  interface SubDb {
    put(key: string, value: Json, done: Done): void;
    batch(operations: ({ type: "put"; key: string; value: Json } | { type: "del"; key: string })[], done: Done): void;
    createValueStream(options: object): AsyncIterable<Json>;
  }

  export interface Store {
    db: {
      open(): Promise<void>;
      close(): Promise<void>;
      clear(range: { gte: string; lt: string }): Promise<void>;
    };
    tableDb: SubDb & { awsAccountId: string; awsRegion: string };
    getTable(name: string, checkStatus: boolean, done: (error: Error | null, table: Json) => void): void;
    getItemDb(table: string): SubDb;
    getIndexDb(type: "global" | "local", table: string, index: string): SubDb;
  }

  const db: {
    create(options: { path: string; createTableMs: number; deleteTableMs: number; updateTableMs: number }): Store;
    /** What has to be written to these indexes so that they hold `item`. */
    getIndexActions(
      indexes: readonly Json[],
      existing: Json | null,
      item: Json,
      table: Json,
    ): { puts: { index: string; key: string; item: Json }[]; deletes: { index: string; key: string }[] };
  };
  export default db;
}

declare module "dynalite/validations/index.js" {
  const validations: {
    checkTypes(data: object, types: object): import("../../../kernel/service.js").Properties;
    checkValidations(data: object, types: object, custom: unknown, store: object): void;
  };
  export default validations;
}
