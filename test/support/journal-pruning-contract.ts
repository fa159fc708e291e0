import { randomUUID } from "node:crypto";
import {
  Annotation,
  Command,
  DeltaChannel,
  END,
  interrupt,
  START,
  StateGraph,
  type StateSnapshot,
} from "@langchain/langgraph";
import type { Db } from "mongodb";
import { beforeAll, describe, expect, it } from "vitest";
import type { Journal } from "../../src/checkpoints/journal.ts";
import type { JournalSaver } from "../../src/checkpoints/journal-saver.ts";
import { JournalCollection } from "../../src/storage/journal.ts";
import { readingSaver, startRun } from "./journal-threads.ts";
import { createJournal } from "./stores.ts";

const thread = { configurable: { thread_id: "thread" } };
const always = async () => {};

const lines = Annotation<string[]>({ reducer: (old, more) => [...old, ...more], default: () => [] });
const Log = Annotation.Root({ log: lines });

/** A list that grows beyond what is stored in one piece. */
const chat = () =>
  new StateGraph(Log)
    .addNode("reply", ({ log }) => ({ log: [`${log.length} ${"x".repeat(900)}`] }))
    .addEdge(START, "reply")
    .addEdge("reply", END);

/** prepare → asks a person, two graphs deep → done. `keeping`: the outer subgraph keeps its state from run to run. */
const asking = (keeping?: true) => {
  const inner = new StateGraph(Log)
    .addNode("think", () => ({ log: ["thought"] }))
    .addNode("ask", () => ({ log: [`asked: ${interrupt("may I?")}`] }))
    .addEdge(START, "think")
    .addEdge("think", "ask")
    .addEdge("ask", END);
  const middle = new StateGraph(Log)
    .addNode("before", () => ({ log: ["before"] }))
    .addNode("inner", inner.compile())
    .addEdge(START, "before")
    .addEdge("before", "inner")
    .addEdge("inner", END);
  return new StateGraph(Log)
    .addNode("prepare", () => ({ log: ["prepared"] }))
    .addNode("middle", middle.compile({ checkpointer: keeping }))
    .addEdge(START, "prepare")
    .addEdge("prepare", "middle")
    .addEdge("middle", END);
};

/** Its notes are stored as writes and rebuilt from them. */
const diary = (snapshotFrequency: number) => () =>
  new StateGraph(
    Annotation.Root({
      notes: () =>
        new DeltaChannel<string[], string[]>((old, writes) => [...old, ...writes.flat()], {
          initialValueFactory: () => [],
          snapshotFrequency,
        }),
    }),
  )
    .addNode("reply", ({ notes }) => ({ notes: [`re: ${notes.at(-1)}`] }))
    .addEdge(START, "reply")
    .addEdge("reply", END);

interface Graph {
  invoke(input: unknown, config: object): Promise<unknown>;
  getState(config: object, options?: object): Promise<StateSnapshot>;
  getStateHistory(config: object): AsyncIterable<StateSnapshot>;
}
const compile = (graph: { compile(options: object): unknown }, checkpointer: JournalSaver) =>
  graph.compile({ checkpointer }) as Graph;

/** What every journal must do when only its newest state is to stay. */
export function describeJournalPruning(which: string, openDb: () => Promise<Db>): void {
  let journal: Journal;
  let slots: JournalCollection["documents"];
  beforeAll(async () => {
    const db = await openDb();
    journal = createJournal(db);
    slots = new JournalCollection(db).documents;
  });

  async function run(make: () => { compile(options: object): unknown }, name: string, input: unknown) {
    const { saver, runId, token } = await startRun(journal, name);
    const result = await compile(make(), saver).invoke(input, thread);
    return { result, runId, token };
  }

  async function seen(make: () => { compile(options: object): unknown }, name: string) {
    const graph = compile(make(), readingSaver(journal, name));
    const state = await graph.getState(thread, { subgraphs: true });
    const history: StateSnapshot[] = [];
    for await (const one of graph.getStateHistory(thread)) history.push(one);
    return JSON.parse(JSON.stringify({ state, history })) as { state: StateSnapshot; history: StateSnapshot[] };
  }

  const numbers = async (name: string) =>
    (await slots.find({ journal: name }).sort({ slot: 1 }).toArray()).map(({ slot }) => slot);
  const bytes = async (name: string) =>
    (await slots.find({ journal: name }).toArray()).reduce((sum, slot) => sum + JSON.stringify(slot).length, 0);

  describe(`pruning to the newest state ${which}`, () => {
    it("leaves the state as it is and one entry of history, also of a list in pieces; slots stay taken", async () => {
      const name = randomUUID();
      for (const text of ["one", "two", "three", "four"]) await run(chat, name, { log: [text] });
      const [before, taken, size] = [await seen(chat, name), await numbers(name), await bytes(name)];
      for (let repeat = 0; repeat < 2; repeat += 1) {
        await journal.keepLatest(name, always);
        expect(await seen(chat, name)).toEqual({ state: before.state, history: before.history.slice(0, 1) });
      }
      expect(await numbers(name)).toEqual(taken);
      expect(await bytes(name)).toBeLessThan(size * 0.6);
      const { result } = await run(chat, name, { log: ["five"] });
      expect((result as { log: string[] }).log).toHaveLength(10);
    });

    it("is whole after a crash at any write, and ends the same when it is repeated", async () => {
      const name = randomUUID();
      for (const text of ["one", "two", "three"]) await run(chat, name, { log: [text] });
      const before = await seen(chat, name);
      for (let crash = 1; ; crash += 1) {
        let writes = 0;
        const dies = async () => {
          writes += 1;
          if (writes === 2) throw new Error("crashed");
        };
        const died = await journal.keepLatest(name, dies).then(
          () => false,
          () => true,
        );
        const { state, history } = await seen(chat, name);
        expect([crash, state]).toEqual([crash, before.state]);
        const left = history.map(({ config }) => config.configurable!.checkpoint_id);
        // The results of a checkpoint that is about to go may have gone already; what it holds has not.
        const values = (states: StateSnapshot[]) =>
          states.filter(({ config }) => left.includes(config.configurable!.checkpoint_id)).map((state) => state.values);
        expect(values(history)).toEqual(values(before.history));
        if (!died) break;
        expect(crash).toBeLessThan(100);
      }
      expect((await seen(chat, name)).history).toEqual(before.history.slice(0, 1));
    });

    it.each([
      ["", undefined],
      [" that keeps its state", true as const],
    ])("keeps what an interrupted subgraph%s goes on from", async (_, keeping) => {
      const make = () => asking(keeping);
      const name = randomUUID();
      await run(make, name, { log: ["first"] });
      await run(make, name, new Command({ resume: "yes" }));
      await run(make, name, { log: ["second"] });
      const before = await seen(make, name);
      expect(before.state.next).toEqual(["middle"]);
      await journal.keepLatest(name, always);
      const after = await seen(make, name);
      expect(after).toEqual({ state: before.state, history: before.history.slice(0, 1) });
      const namespaces = new Set(
        (await slots.find({ journal: name }).toArray()).flatMap(({ checkpoints = [] }) =>
          checkpoints.map(({ ns }) => ns),
        ),
      );
      // The graph's, the subgraph's and its subgraph's; those of the first question are gone.
      expect(namespaces.size).toBe(3);

      const { result } = await run(make, name, new Command({ resume: "again" }));
      expect((result as { log: string[] }).log.filter((line) => line.startsWith("asked"))).toEqual(
        expect.arrayContaining(["asked: yes", "asked: again"]),
      );
      expect((result as { log: string[] }).log.at(-1)).toBe("asked: again");
    });

    it.each([1_000, 3])(
      "keeps the ancestors that a delta channel is rebuilt from, unlisted (snapshots: %i)",
      async (every) => {
        const make = diary(every);
        const name = randomUUID();
        for (const text of ["one", "two", "three", "four"]) await run(make, name, { notes: [text] });
        const before = await seen(make, name);
        expect((before.state.values as { notes: string[] }).notes).toHaveLength(8);
        await journal.keepLatest(name, always);
        expect(await seen(make, name)).toEqual({ state: before.state, history: before.history.slice(0, 1) });
        const kept = await slots.find({ journal: name, kept: "ancestors" }).toArray();
        expect(kept).not.toEqual([]);
        // They are no run's any more.
        expect(kept.filter(({ run_id, token }) => run_id !== undefined || token !== undefined)).toEqual([]);
        await journal.keepLatest(name, always);
        const { result } = await run(make, name, { notes: ["five"] });
        expect((result as { notes: string[] }).notes).toHaveLength(10);
        await journal.keepLatest(name, always);
        expect((await seen(make, name)).state.values).toEqual(result);
      },
    );

    it("a run that came after it can be rolled back: the state is the one that was kept", async () => {
      for (const make of [chat, diary(1_000)]) {
        const name = randomUUID();
        const input = (text: string) => (make === chat ? { log: [text] } : { notes: [text] });
        for (const text of ["one", "two"]) await run(make, name, input(text));
        await journal.keepLatest(name, always);
        const kept = await seen(make, name);
        const { runId, token } = await run(make, name, input("three"));
        await journal.fence(name, token);
        await journal.deleteRun(name, runId);
        expect(await seen(make, name)).toEqual(kept);
      }
    });

    it("of a journal without a checkpoint changes nothing", async () => {
      const name = randomUUID();
      await journal.keepLatest(name, always);
      expect(await numbers(name)).toEqual([]);
    });
  });
}
