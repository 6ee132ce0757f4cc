import { odata, RestError, type TableClient, type TableEntity, type TransactionAction } from "@azure/data-tables";
import { EventType, type HistoryEvent, type Instance, isOver, type RuntimeStatus } from "./events.js";

/** An event that an instance has not seen yet. */
export interface Message {
  key: string;
  event: HistoryEvent;
}

/** What is kept of a running instance. */
export interface Kept {
  executionId: string | undefined;
  history: HistoryEvent[];
  inbox: Message[];
}

export interface InstanceFilter {
  status?: RuntimeStatus[];
  createdFrom?: string;
  createdTo?: string;
}

/** A property holds 64 KiB of UTF-16, that is 32 Ki characters. */
const PROPERTY_LIMIT = 30_000;
/** A transaction holds 100 entities, and 4 MiB. */
const TRANSACTION_ENTITIES = 100;
const TRANSACTION_CHARACTERS = 1_000_000;

const SENTINEL = "sentinel";

/**
 * A task hub in two tables, `{hub}Instances` and `{hub}History`. An instance's partition of the history has the rows of its current execution,
 * events that it has not seen yet, and a sentinel that names the execution. An episode is there once its `OrchestratorCompleted` is: what
 * follows the last of them was interrupted, and does not count.
 */
export class TaskHub {
  #received = 0;

  constructor(
    private readonly history: TableClient,
    private readonly instances: TableClient,
  ) {}

  /** Makes the tables where they are missing. */
  async prepare(): Promise<void> {
    await this.instances.createTable();
    await this.history.createTable();
  }

  async find(id: string): Promise<Instance | undefined> {
    try {
      return toInstance(await this.instances.getEntity(escaped(id), ""));
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 404) return undefined;
      throw error;
    }
  }

  /** Newest last. */
  async list({ status, createdFrom, createdTo }: InstanceFilter = {}): Promise<Instance[]> {
    const conditions = [
      status && status.length > 0 ? `(${status.map((each) => odata`RuntimeStatus eq ${each}`).join(" or ")})` : undefined,
      createdFrom ? odata`CreatedTime ge ${new Date(createdFrom)}` : undefined,
      createdTo ? odata`CreatedTime le ${new Date(createdTo)}` : undefined,
    ].filter((condition) => condition !== undefined);
    const found: Instance[] = [];
    const filter = conditions.join(" and ");
    for await (const entity of this.instances.listEntities(filter ? { queryOptions: { filter } } : {})) found.push(toInstance(entity));
    return found.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  }

  async unfinished(): Promise<Instance[]> {
    return (await this.list({ status: ["Pending", "Running", "Suspended"] })).filter(({ status }) => !isOver(status));
  }

  async put(instance: Instance): Promise<void> {
    const { id, executionId, name, input, output, customStatus, status, createdAt, updatedAt, parent } = instance;
    const entity = {
      partitionKey: escaped(id),
      rowKey: "",
      ...columns({
        InstanceId: id,
        ExecutionId: executionId,
        Name: name,
        Version: "",
        Input: input,
        Output: output,
        CustomStatus: customStatus,
        RuntimeStatus: status,
        ParentInstance: parent && JSON.stringify(parent),
      }),
      CreatedTime: new Date(createdAt),
      LastUpdatedTime: new Date(updatedAt),
      ...(isOver(status) && { CompletedTime: new Date(updatedAt) }),
    };
    await this.instances.upsertEntity(entity, "Replace");
  }

  /** Begins an execution: whatever the instance had before no longer counts. */
  async begin(id: string, executionId: string, started: HistoryEvent): Promise<Message> {
    const message = { key: this.#nextKey(), event: started };
    await this.#transact([sentinel(id, executionId), inboxRow(id, executionId, message)]);
    return message;
  }

  /** Keeps an event until an episode has dealt with it. */
  async receive(id: string, executionId: string, event: HistoryEvent): Promise<Message> {
    const message = { key: this.#nextKey(), event };
    await this.#transact([inboxRow(id, executionId, message)]);
    return message;
  }

  /** Appends an episode, and forgets the message that it dealt with, at once. @param at how many events the history has before it */
  async commit(id: string, executionId: string, at: number, events: readonly HistoryEvent[], done?: Message): Promise<void> {
    const rows = events.map((event, index): TransactionAction => ["upsert", eventRow(id, executionId, at + index, event), "Replace"]);
    // The last transaction has the end of the episode: it alone makes the others count.
    await this.#transact(done ? [...rows, forget(id, done)] : rows, done ? 2 : 1);
  }

  /** Ends an execution by beginning another one, which is given the events that were not dealt with. */
  async restart(id: string, executionId: string, started: HistoryEvent, done: Message, carried: readonly Message[]): Promise<Message> {
    const message = { key: this.#nextKey(), event: started };
    const rows = [message, ...carried].map((each) => inboxRow(id, executionId, each));
    await this.#transact([...rows, forget(id, done), sentinel(id, executionId)], 2);
    return message;
  }

  async load(id: string): Promise<Kept> {
    const entities = await this.#partition(id);
    const executionId = entities.find(({ rowKey }) => rowKey === SENTINEL)?.ExecutionId as string | undefined;
    const mine = entities.filter(({ rowKey, ExecutionId }) => rowKey !== SENTINEL && ExecutionId === executionId);
    const history = mine.filter(({ rowKey }) => !rowKey?.startsWith("inbox-")).map(toEvent);
    const inbox = mine
      .filter(({ rowKey }) => rowKey?.startsWith("inbox-"))
      .map((entity) => ({ key: entity.rowKey as string, event: toEvent(entity) }));
    const end = history.findLastIndex(({ kind }) => kind === "OrchestratorCompleted");
    return { executionId, history: history.slice(0, end + 1), inbox };
  }

  async purge(id: string): Promise<void> {
    const rows = (await this.#partition(id)).map(
      ({ partitionKey, rowKey }): TransactionAction => ["delete", { partitionKey, rowKey } as TableEntity],
    );
    for (let at = 0; at < rows.length; at += TRANSACTION_ENTITIES)
      await this.history.submitTransaction(rows.slice(at, at + TRANSACTION_ENTITIES));
    await this.instances.deleteEntity(escaped(id), "");
  }

  async #partition(id: string): Promise<TableEntity<Record<string, unknown>>[]> {
    const found: TableEntity<Record<string, unknown>>[] = [];
    const queryOptions = { filter: odata`PartitionKey eq ${escaped(id)}` };
    for await (const entity of this.history.listEntities<Record<string, unknown>>({ queryOptions })) found.push(entity as never);
    return found.sort((a, b) => ((a.rowKey as string) < (b.rowKey as string) ? -1 : 1));
  }

  /** @param together how many of the last rows must be in one transaction */
  async #transact(rows: TransactionAction[], together = 1): Promise<void> {
    let batch: TransactionAction[] = [];
    let size = 0;
    const send = async () => {
      if (batch.length > 0) await this.history.submitTransaction(batch);
      batch = [];
      size = 0;
    };
    for (const [index, row] of rows.entries()) {
      const length = JSON.stringify(row).length;
      const splittable = index <= rows.length - together;
      const last = index === rows.length - together ? together : 1;
      if (splittable && batch.length > 0 && (batch.length + last > TRANSACTION_ENTITIES || size + length > TRANSACTION_CHARACTERS))
        await send();
      batch.push(row);
      size += length;
    }
    await send();
  }

  /** Ordered by time, and within a millisecond by arrival. */
  #nextKey(): string {
    return `inbox-${Date.now().toString(16).padStart(12, "0")}${(this.#received++ % 65_536).toString(16).padStart(4, "0")}`;
  }
}

const sentinel = (id: string, executionId: string): TransactionAction => [
  "upsert",
  { partitionKey: escaped(id), rowKey: SENTINEL, ExecutionId: executionId },
  "Replace",
];

const inboxRow = (id: string, executionId: string, { key, event }: Message): TransactionAction => [
  "upsert",
  { ...eventRow(id, executionId, 0, event), rowKey: key },
  "Replace",
];

const forget = (id: string, { key }: Message): TransactionAction => ["delete", { partitionKey: escaped(id), rowKey: key }];

/** Names of columns, as Azure's own provider has them. */
const COLUMNS = {
  id: "EventId",
  name: "Name",
  input: "Input",
  result: "Result",
  reason: "Reason",
  details: "Details",
  fireAt: "FireAt",
  instanceId: "InstanceId",
  status: "OrchestrationStatus",
  action: "Action",
  retry: "Retry",
  again: "Again",
  actions: "Actions",
  cancelled: "Cancelled",
} as const;

function eventRow(id: string, executionId: string, index: number, event: HistoryEvent) {
  const values: Record<string, unknown> = {
    ExecutionId: executionId,
    EventType: event.kind,
    _Timestamp: event.at,
    [event.kind === "TimerFired" ? "TimerId" : "TaskScheduledId"]: event.of,
  };
  for (const [member, column] of Object.entries(COLUMNS)) values[column] = event[member as keyof HistoryEvent];
  return { partitionKey: escaped(id), rowKey: index.toString(16).padStart(16, "0"), ...columns(values) };
}

function toEvent(entity: TableEntity<Record<string, unknown>>): HistoryEvent {
  const values = joined(entity);
  const kind = values.EventType as string;
  if (!(kind in EventType)) throw new Error(`The history has an event of an unknown kind: ${kind}`);
  const event: Record<string, unknown> = { kind, at: values._Timestamp };
  const of = values.TimerId ?? values.TaskScheduledId;
  if (of !== undefined) event.of = of;
  for (const [member, column] of Object.entries(COLUMNS)) {
    const value = values[column];
    if (value === undefined) continue;
    event[member] = member === "retry" || member === "again" || member === "cancelled" ? JSON.parse(value as string) : value;
  }
  return event as unknown as HistoryEvent;
}

function toInstance(entity: object): Instance {
  const values = joined(entity) as Record<string, string>;
  const instant = (value: unknown) => new Date(value as string).toISOString();
  return {
    id: values.InstanceId as string,
    executionId: values.ExecutionId as string,
    name: values.Name as string,
    input: values.Input as string,
    ...(values.Output !== undefined && { output: values.Output }),
    ...(values.CustomStatus !== undefined && { customStatus: values.CustomStatus }),
    status: values.RuntimeStatus as RuntimeStatus,
    createdAt: instant(values.CreatedTime),
    updatedAt: instant(values.LastUpdatedTime),
    ...(values.ParentInstance !== undefined && { parent: JSON.parse(values.ParentInstance) }),
  };
}

/** Texts that are too long for one property go on in `Name_1`, `Name_2` …; objects are JSON; what is undefined is left out. */
function columns(values: Record<string, unknown>): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    if (typeof value === "number") {
      found[name] = value;
      continue;
    }
    const text = typeof value === "string" ? value : JSON.stringify(value);
    for (let part = 0, at = 0; part === 0 || at < text.length; part++) {
      const end = at + PROPERTY_LIMIT;
      // Never between the two halves of a surrogate pair.
      const chunk = text.slice(at, /[\ud800-\udbff]/.test(text[end - 1] ?? "") ? end - 1 : end);
      found[part === 0 ? name : `${name}_${part}`] = chunk;
      at += chunk.length;
    }
  }
  return found;
}

function joined(entity: object): Record<string, unknown> {
  const values = Object.entries(entity).filter(([name]) => !/_\d+$/.test(name));
  return Object.fromEntries(
    values.map(([name, value]) => {
      let whole = value;
      for (let part = 1; typeof whole === "string" && `${name}_${part}` in entity; part++)
        whole += (entity as Record<string, string>)[`${name}_${part}`];
      return [name, whole];
    }),
  );
}

/** Keys of tables may have no `/ \ # ?` and no control characters. */
const escaped = (id: string) => id.replace(/[/\\#?^\p{Cc}]/gu, (one) => `^${one.charCodeAt(0).toString(16).padStart(2, "0")}`);
