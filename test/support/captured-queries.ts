import type { CommandStartedEvent, Db, Document, FindCursor, MongoClient, Sort } from "mongodb";

/** What a command looks for. */
export interface CapturedQuery {
  readonly command: string;
  readonly collection: string;
  readonly filter: Document;
  /** Of a find. */
  readonly sort?: Document;
  readonly limit?: number;
}

/** What the engine says of a filter: how it would find the documents, and how many it has to look at. */
export interface Plan {
  readonly stages: string;
  readonly returned: number;
  readonly examined: number;
}

/** The filters of all that the driver sends while something is done. The client must monitor its commands. */
export async function capture(client: MongoClient, what: () => Promise<unknown>): Promise<CapturedQuery[]> {
  const captured: CapturedQuery[] = [];
  const listen = ({ commandName: command, command: sent }: CommandStartedEvent) => {
    const add = (filter: Document, order?: Pick<CapturedQuery, "sort" | "limit">) =>
      captured.push({ command, collection: sent[command], filter, ...order });
    if (command === "find") add(sent.filter ?? {}, { sort: sent.sort, limit: sent.limit });
    else if (command === "findAndModify" || command === "count") add(sent.query ?? {});
    else if (command === "update") for (const { q } of sent.updates) add(q);
    else if (command === "delete") for (const { q } of sent.deletes) add(q);
    else if (command === "aggregate") add(sent.pipeline[0]?.$match ?? {});
    else if (!harmless.has(command))
      throw new Error(`the storage sends a command that this test does not know: ${command}`);
  };
  client.on("commandStarted", listen);
  try {
    await what();
  } finally {
    client.off("commandStarted", listen);
  }
  return captured;
}

const harmless: ReadonlySet<string> = new Set(["insert", "getMore", "killCursors", "hello", "ping", "endSessions"]);

/**
 * Explains the filter by itself, without order and limit: the embedded engines collect all that it names before they sort and
 * take the first, although their explanation of the whole command is that of MongoDB, which stops early.
 */
export const explain = (db: Db, { collection, filter }: CapturedQuery): Promise<Plan> =>
  planOf(db.collection(collection).find(filter));

/** Explains it with its order and limit, as MongoDB answers it: a walk of an index, or a sort. */
export const explainWhole = (db: Db, { collection, filter, sort, limit }: CapturedQuery): Promise<Plan> =>
  planOf(db.collection(collection).find(filter, { sort: sort as Sort | undefined, limit }));

async function planOf(cursor: FindCursor): Promise<Plan> {
  const explained = await cursor.explain("executionStats");
  const { nReturned, totalDocsExamined, totalKeysExamined } = explained.executionStats;
  return {
    stages: stagesOf(explained.queryPlanner.winningPlan),
    returned: nReturned,
    examined: Math.max(totalDocsExamined, totalKeysExamined),
  };
}

function stagesOf(stage: Document): string {
  const inputs = [stage.queryPlan, stage.inputStage, ...(stage.inputStages ?? [])].filter((one) => one !== undefined);
  const name = stage.indexName === undefined ? (stage.stage ?? "") : `${stage.stage}(${stage.indexName})`;
  return [name, ...inputs.map(stagesOf)].filter((one) => one !== "").join(" < ");
}
