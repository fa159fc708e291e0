/**
 * Property: whatever a graph does on a thread, the journal gives back what LangGraph's MemorySaver gives back, also when
 * another process goes on with it.
 */
import { randomUUID } from "node:crypto";
import type { RunnableConfig } from "@langchain/core/runnables";
import { Annotation, END, interrupt, MemorySaver, Send, START, StateGraph } from "@langchain/langgraph";
import {
  BaseCheckpointSaver,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import type { JournalSaver } from "../../src/checkpoints/journal-saver.ts";
import { createIndexes } from "../../src/storage/indexes.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { startRun } from "../support/journal-threads.ts";
import { createJournal } from "../support/stores.ts";

let database: TestDatabase;
let journal: Journal;
beforeAll(async () => {
  database = await testDatabase();
  await createIndexes(database.db);
  journal = createJournal(database.db);
});
afterAll(() => database.close());

const thread = { configurable: { thread_id: "thread" } };

/** One change of a list: what a node returns. */
type Edit =
  | { readonly kind: "append"; readonly text: string }
  | { readonly kind: "change" | "remove"; readonly at: number; readonly text: string }
  | { readonly kind: "keep"; readonly count: number };

function applyEdit(list: readonly string[], edit: Edit | readonly Edit[]): string[] {
  if (Array.isArray(edit)) return edit.reduce<string[]>(applyEdit, [...list]);
  const next = [...list];
  const { kind } = edit as Edit;
  if (kind === "append") next.push((edit as { text: string }).text);
  else if (kind === "keep") next.length = Math.min(next.length, (edit as { count: number }).count);
  else if (next.length > 0) {
    const { at, text } = edit as { at: number; text: string };
    next.splice(at % next.length, 1, ...(kind === "change" ? [text] : []));
  }
  return next;
}

const list = Annotation<string[], Edit | readonly Edit[]>({ reducer: applyEdit, default: () => [] });
const State = Annotation.Root({
  list,
  /** What the nodes of this run do, in turn. */
  script: Annotation<readonly Edit[][]>({ reducer: (_, next) => next, default: () => [] }),
  constant: Annotation<string>,
  note: Annotation<string>,
  inner: Annotation<string[]>,
  step: Annotation<number>({ reducer: (_, next) => next, default: () => 0 }),
});

const Inner = Annotation.Root({
  inner: Annotation<string[]>({ reducer: (old, more) => [...old, ...more], default: () => [] }),
  note: Annotation<string>,
});

/** work (in a loop; may fail or ask) → fan-out to two nodes and a subgraph → done. */
function buildGraph(checkpointer: BaseCheckpointSaver, fail: () => boolean) {
  const inner = new StateGraph(Inner)
    .addNode("first", () => ({ inner: ["inner".repeat(80)] }))
    .addNode("second", ({ inner }) => ({ note: `inner ${inner.length}` }))
    .addEdge(START, "first")
    .addEdge("first", "second")
    .addEdge("second", END)
    .compile();
  return new StateGraph(State)
    .addNode("work", ({ script, step, list }) => {
      if (fail()) throw new Error("failed on purpose");
      const edits = script[step] ?? [];
      if (edits.length === 3) interrupt({ length: list.length });
      return { list: edits, step: step + 1 };
    })
    .addNode("left", ({ list }: { list: string[] }) => ({
      list: { kind: "append" as const, text: `left ${list.length}` },
    }))
    .addNode("right", ({ list }: { list: string[] }) => ({ list: { kind: "keep" as const, count: list.length } }))
    .addNode("nested", inner as never)
    .addNode("done", () => ({ step: 0 }))
    .addEdge(START, "work")
    .addConditionalEdges("work", ({ script, step, list }) =>
      step < script.length ? "work" : [new Send("left", { list }), "right", "nested"],
    )
    .addEdge(["right", "nested"], "done")
    .addEdge("left", END)
    .addEdge("done", END)
    .compile({ checkpointer });
}

/** Writes to both savers under the same ids, and holds every answer of the one against the other's. */
class BothSavers extends BaseCheckpointSaver {
  readonly memory: MemorySaver;
  readonly journal: JournalSaver;

  constructor(memory: MemorySaver, journalSaver: JournalSaver) {
    super();
    this.memory = memory;
    this.journal = journalSaver;
    this.getNextVersion = journalSaver.getNextVersion.bind(journalSaver);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const [expected, actual] = [await this.memory.getTuple(config), await this.journal.getTuple(config)];
    expect(actual && comparable(actual)).toEqual(expected && comparable(expected));
    return actual;
  }

  override async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    const expected = await collect(this.memory.list(config, options));
    const actual = await collect(this.journal.list(config, options));
    expect(actual.map(comparable)).toEqual(expected.map(comparable));
    yield* actual;
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    versions: ChannelVersions,
  ) {
    await this.memory.put(config, checkpoint, metadata);
    return this.journal.put(config, checkpoint, metadata, versions);
  }

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    path?: string,
  ): Promise<void> {
    await this.memory.putWrites(config, writes, taskId, path);
    return this.journal.putWrites(config, writes, taskId, path);
  }

  override deleteThread(threadId: string): Promise<void> {
    return this.memory.deleteThread(threadId);
  }
}

/** Without what one of them adds: the whole config, and whose checkpoint it is. */
const comparable = ({ config, parentConfig, checkpoint, metadata, pendingWrites }: CheckpointTuple) => ({
  id: config.configurable?.checkpoint_id,
  parent: parentConfig?.configurable?.checkpoint_id,
  checkpoint,
  metadata: { source: metadata?.source, step: metadata?.step, parents: metadata?.parents },
  pendingWrites,
});

/** Of all namespaces, which the two list in different orders. */
const byName = (tuples: readonly CheckpointTuple[]) =>
  Object.fromEntries(
    tuples.map((tuple) => [`${tuple.config.configurable?.checkpoint_ns}/${tuple.checkpoint.id}`, comparable(tuple)]),
  );

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.string({ unit: "grapheme", minLength: 300, maxLength: 3_000, size: "max" }),
);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("append" as const), text }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("change" as const, "remove" as const), at: fc.nat(50), text }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("keep" as const), count: fc.nat(20) }) },
);
const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("run" as const),
      script: fc.array(fc.array(edit, { maxLength: 3 }), { maxLength: 12 }),
      failAt: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("resume" as const), failAt: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("update" as const), at: fc.nat(30), edit }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fork" as const), at: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("move" as const) }) },
);
const durability = fc.constantFrom("sync" as const, "async" as const, "exit" as const);

it("gives back what MemorySaver gives back", { timeout: 180_000 }, async () => {
  let compared = 0;
  const property = fc.asyncProperty(
    fc.array(action, { minLength: 1, maxLength: 8 }),
    durability,
    async (actions, durability) => {
      const name = randomUUID();
      const memory = new MemorySaver();
      let left = Number.POSITIVE_INFINITY;
      const open = async () => {
        const both = new BothSavers(memory, (await startRun(journal, name)).saver);
        return { both, graph: buildGraph(both, () => --left === 0) };
      };
      let { both, graph } = await open();
      const invoke = async (input: object | null, config: RunnableConfig, failAt: number) => {
        left = failAt;
        await graph.invoke(input as never, { ...config, durability }).catch(expected);
      };
      for (const next of actions) {
        if (next.do === "move") {
          await both.journal.quiet();
          both.journal.close();
          ({ both, graph } = await open());
          continue;
        }
        const history = await collect(graph.getStateHistory(thread));
        const chosen = "at" in next && history.length > 0 ? history[next.at % history.length]!.config : undefined;
        if (next.do === "run") {
          const input = { script: next.script, constant: "c".repeat(5_000), note: "n", list: [] };
          await invoke(input, thread, next.failAt);
        } else if (next.do === "resume") await invoke(null, thread, next.failAt);
        else if (next.do === "fork" && chosen) await invoke(null, chosen, 0);
        else if (next.do === "update" && chosen) {
          await graph.updateState(chosen, { list: next.edit }, "work").catch(expected);
        }
        await both.journal.quiet();
      }
      compared += (await collect(both.list({ configurable: { ...thread.configurable, checkpoint_ns: "" } }))).length;
      const [expectedAll, actualAll] = [await collect(memory.list(thread)), await collect(both.journal.list(thread))];
      expect(byName(actualAll)).toEqual(byName(expectedAll));
      compared += actualAll.length;
    },
  );
  await fc.assert(property, { numRuns: 25, interruptAfterTimeLimit: 60_000 });
  console.log(`compared ${compared} checkpoints of histories`);
});

/** A failure of the graph is part of the game; a difference between the savers is not. */
function expected(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  if (!/failed on purpose|EmptyInputError|Recursion|Received no input/.test(`${(error as Error).name} ${message}`))
    throw error;
}
