import type {
  BaseStore,
  GetOperation,
  Item,
  ListNamespacesOperation,
  Operation,
  OperationResults,
  PutOperation,
  SearchOperation,
} from "@langchain/langgraph-checkpoint";
import type { CheckpointModule } from "../../checkpoints/journal-saver.ts";
import type { ItemAnswer, ItemOperation, ItemReport, ItemsPort } from "../protocol.ts";

/** LangGraph's store for one attempt, over the long-term memory that the parent keeps. */
export type GraphStore = BaseStore & GraphStoreLife;

interface GraphStoreLife {
  /** Resolves when no call is under way. */
  quiet(): Promise<void>;
  /** Every later call rejects. */
  close(): void;
}

/**
 * Makes the store from the copy of `@langchain/langgraph-checkpoint` that the graph itself uses. There are no embeddings: as with
 * LangGraph's own stores that have none, `query` of a search and `index` of a put say nothing, and no item has a score.
 */
export function createGraphStore(checkpointModule: CheckpointModule, items: ItemsPort): GraphStore {
  class MongoGraphStore extends checkpointModule.BaseStore implements GraphStoreLife {
    readonly #underWay = new Set<Promise<unknown>>();
    #closed = false;

    override async batch<Op extends Operation[]>(operations: Op): Promise<OperationResults<Op>> {
      if (this.#closed) throw new Error("The attempt is over: its store is closed");
      // Everything becomes text in this turn: a node may change its objects later.
      const answers = items.batch(operations.map(toMessage));
      this.#underWay.add(answers);
      const forget = () => this.#underWay.delete(answers);
      answers.then(forget, forget);
      const results = await answers;
      return operations.map((operation, n) => toResult(operation, results[n]!)) as OperationResults<Op>;
    }

    async quiet(): Promise<void> {
      while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    }

    close(): void {
      this.#closed = true;
    }
  }

  const store = new MongoGraphStore();
  sendAtOnce(checkpointModule, store);
  return store;
}

/** What LangGraph's queue is made of. */
interface QueueingStore {
  store: unknown;
  running: boolean;
  start(): void;
  enqueueOperation(operation: Operation): Promise<unknown>;
  batch(operations: Operation[]): Promise<unknown[]>;
}

const direct = new WeakSet<object>();
const patched = new WeakSet<object>();

/**
 * LangGraph puts a queue before every store, and stops it when a run's stream ends: what is asked of it then, by a node that
 * tidies up after an abort, say, is never answered, and such a node would have to be killed. The queue also looks for work in
 * every turn of the event loop, lists no namespaces, and one bad operation fails all that are queued with it. For stores made here
 * it hands each operation on at once.
 */
function sendAtOnce({ AsyncBatchedStore }: CheckpointModule, store: object): void {
  direct.add(store);
  const queueing = AsyncBatchedStore.prototype as unknown as QueueingStore;
  if (patched.has(queueing) || typeof queueing.enqueueOperation !== "function") return;
  patched.add(queueing);
  const { start, enqueueOperation, batch } = queueing;
  queueing.start = function () {
    if (direct.has(this.store as object)) this.running = true;
    else start.call(this);
  };
  queueing.enqueueOperation = async function (operation) {
    if (!direct.has(this.store as object)) return enqueueOperation.call(this, operation);
    return (await this.batch([operation]))[0];
  };
  queueing.batch = function (operations) {
    return direct.has(this.store as object)
      ? (this.store as BaseStore).batch(operations)
      : batch.call(this, operations);
  };
}

function toMessage(operation: Operation): ItemOperation {
  if ("namespacePrefix" in operation) {
    const { namespacePrefix, filter, limit, offset } = operation as SearchOperation;
    return { kind: "search", namespacePrefix, ...(filter && { filter: JSON.stringify(filter) }), limit, offset };
  }
  if ("value" in operation) {
    const { namespace, key, value } = operation as PutOperation;
    return value === null
      ? { kind: "delete", namespace, key }
      : { kind: "put", namespace, key, value: JSON.stringify(value) ?? "null" };
  }
  if ("key" in operation) {
    const { namespace, key } = operation as GetOperation;
    return { kind: "get", namespace, key };
  }
  const { matchConditions = [], maxDepth, limit, offset } = operation as ListNamespacesOperation;
  const match = matchConditions.map(({ matchType, path }) => ({ at: matchType, labels: path }));
  return { kind: "namespaces", match, maxDepth, limit, offset };
}

function toResult(operation: Operation, answer: ItemAnswer): unknown {
  if ("namespacePrefix" in operation) return (answer as readonly ItemReport[]).map(toItem);
  if ("value" in operation) return undefined;
  if ("key" in operation) return answer === null ? null : toItem(answer as ItemReport);
  return answer;
}

const toItem = ({ namespace, key, value, createdAt, updatedAt }: ItemReport): Item => ({
  namespace: [...namespace],
  key,
  value: JSON.parse(value),
  createdAt,
  updatedAt,
});
