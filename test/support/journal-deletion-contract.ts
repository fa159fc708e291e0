import { randomUUID } from "node:crypto";
import type { BaseMessageLike } from "@langchain/core/messages";
import {
  Annotation,
  Command,
  DeltaChannel,
  END,
  interrupt,
  MessagesAnnotation,
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

/** prepare → (approve asks a person, while check works beside it) → book. */
const approval = new StateGraph(
  Annotation.Root({
    log: Annotation<string[]>({ reducer: (old, more) => [...old, ...more], default: () => [] }),
    answer: Annotation<string>,
  }),
)
  .addNode("prepare", () => ({ log: ["prepared"] }))
  .addNode("approve", () => ({ answer: interrupt("may I?"), log: ["approved"] }))
  .addNode("check", () => ({ log: ["checked"] }))
  .addNode("book", (state) => ({ log: [`booked ${state.answer}`] }))
  .addEdge(START, "prepare")
  .addEdge("prepare", "approve")
  .addEdge("prepare", "check")
  .addEdge(["approve", "check"], "book")
  .addEdge("book", END);

const chat = new StateGraph(MessagesAnnotation)
  .addNode("reply", ({ messages }) => ({
    messages: [{ role: "assistant", content: `${messages.length} ${padding}` }] as BaseMessageLike[],
  }))
  .addEdge(START, "reply")
  .addEdge("reply", END);
const padding = "x".repeat(900);
const say = (content: string) => ({ messages: [{ role: "user", content }] as BaseMessageLike[] });

const runOf = ({ metadata }: StateSnapshot) => (metadata as { run_id?: string } | undefined)?.run_id;

/** Its notes are stored as writes and rebuilt from them. */
const diary = new StateGraph(
  Annotation.Root({
    notes: () =>
      new DeltaChannel<string[], string[]>((old, writes) => [...old, ...writes.flat()], {
        initialValueFactory: () => [],
        snapshotFrequency: 1_000,
      }),
  }),
)
  .addNode("reply", ({ notes }) => ({ notes: [`re: ${notes.at(-1)}`] }))
  .addEdge(START, "reply")
  .addEdge("reply", END);

function compile<Graph extends { compile(options: { checkpointer: JournalSaver }): unknown }>(
  graph: Graph,
  checkpointer: JournalSaver,
) {
  return graph.compile({ checkpointer }) as ReturnType<Graph["compile"]>;
}

/** What every journal must do when what a run has written is removed. */
export function describeJournalDeletions(which: string, openDb: () => Promise<Db>): void {
  let journal: Journal;
  let slots: JournalCollection["documents"];
  beforeAll(async () => {
    const db = await openDb();
    journal = createJournal(db);
    slots = new JournalCollection(db).documents;
  });

  async function everything(graph: Parameters<typeof compile>[0], name: string): Promise<StateSnapshot[]> {
    const history = (
      compile(graph, readingSaver(journal, name)) as { getStateHistory(config: object): AsyncIterable<StateSnapshot> }
    ).getStateHistory(thread);
    const states: StateSnapshot[] = [];
    for await (const state of history) states.push(JSON.parse(JSON.stringify(state)));
    return states;
  }

  async function slotNumbers(name: string): Promise<number[]> {
    return (await slots.find({ journal: name }).sort({ slot: 1 }).toArray()).map(({ slot }) => slot);
  }

  describe(`rollback of a run ${which}`, () => {
    it("leaves the thread as it was before, field by field, and nothing of the run in the collection", async () => {
      const name = randomUUID();
      const first = await startRun(journal, name);
      await compile(approval, first.saver).invoke({ log: ["asked"] }, thread);
      const before = await everything(approval, name);
      expect(before[0]!.next).toContain("approve");
      expect(before[0]!.tasks.map((task) => task.interrupts.length)).toContain(1);

      // The resumed run puts its answer and its tasks' writes on the first run's checkpoint.
      const second = await startRun(journal, name);
      await compile(approval, second.saver).invoke(new Command({ resume: "BAD" }), thread);
      expect((await everything(approval, name))[0]!.values.log).toContain("booked BAD");
      const ofSecond = await slots.find({ journal: name, run_id: second.runId }).toArray();
      expect(ofSecond.flatMap(({ writes = [] }) => writes)).not.toEqual([]);
      const taken = await slotNumbers(name);

      await journal.fence(name, second.token);
      await journal.deleteRun(name, second.runId);
      await journal.deleteRun(name, second.runId);

      expect(await everything(approval, name)).toEqual(before);
      expect(await slots.countDocuments({ journal: name, run_id: second.runId })).toBe(0);
      expect(JSON.stringify(await slots.find({ journal: name }).toArray())).not.toContain(second.runId);
      expect(await slotNumbers(name)).toEqual(expect.arrayContaining(taken));

      const third = await startRun(journal, name);
      const { log } = await compile(approval, third.saver).invoke(new Command({ resume: "GOOD" }), thread);
      expect(log).toContain("booked GOOD");
      expect(log).not.toContain("booked BAD");
    });

    it("of the first run leaves no checkpoint at all", async () => {
      const name = randomUUID();
      const { saver, runId } = await startRun(journal, name);
      await compile(chat, saver).invoke(say("hello"), thread);
      expect(await journal.hasCheckpoints(name, runId)).toBe(true);
      await journal.deleteRun(name, runId);
      expect(await journal.newest(name)).toBeUndefined();
      expect(await journal.hasCheckpoints(name, runId)).toBe(false);
      expect((await compile(chat, readingSaver(journal, name)).getState(thread)).values).toEqual({});
    });
  });

  describe(`deletion of a run in the middle ${which}`, () => {
    it("takes its checkpoints out of the history and keeps what later ones build on, until they go too", async () => {
      const name = randomUUID();
      const runs = [];
      for (const text of ["one", "two", "three"]) {
        const run = await startRun(journal, name);
        await compile(chat, run.saver).invoke(say(text), thread);
        runs.push(run);
      }
      const [first, second, third] = runs;
      const before = await everything(chat, name);
      const others = before.filter((state) => runOf(state) !== second!.runId);
      expect(others.length).toBeLessThan(before.length);

      await journal.deleteRun(name, second!.runId);
      await journal.deleteRun(name, second!.runId);
      expect(await everything(chat, name)).toEqual(others);
      const gone = before.find((state) => runOf(state) === second!.runId)!;
      expect(
        await journal.checkpoint(name, { checkpointId: gone.config.configurable!.checkpoint_id, checkpointNs: "" }),
      ).toBeUndefined();
      expect(await slots.countDocuments({ journal: name, kept: "segments" })).toBeGreaterThan(0);

      await journal.deleteRun(name, third!.runId);
      expect(await slots.countDocuments({ journal: name, kept: { $exists: true } })).toBe(0);
      expect(await everything(chat, name)).toEqual(others.filter((state) => runOf(state) === first!.runId));
    });

    it("keeps the ancestors that a delta channel is rebuilt from, unlisted", async () => {
      const name = randomUUID();
      const runs = [];
      for (const text of ["one", "two", "three"]) {
        const run = await startRun(journal, name);
        await compile(diary, run.saver).invoke({ notes: [text] }, thread);
        runs.push(run);
      }
      const [first, second, third] = runs;
      const before = await everything(diary, name);
      expect(before[0]!.values.notes).toEqual(["one", "re: one", "two", "re: two", "three", "re: three"]);

      await journal.deleteRun(name, second!.runId);
      await journal.deleteRun(name, second!.runId);
      expect(await everything(diary, name)).toEqual(before.filter((state) => runOf(state) !== second!.runId));
      expect(await slots.countDocuments({ journal: name, kept: "ancestors" })).toBeGreaterThan(0);
      const gone = before.find((state) => runOf(state) === second!.runId)!;
      expect(
        await journal.checkpoint(name, { checkpointId: gone.config.configurable!.checkpoint_id, checkpointNs: "" }),
      ).toBeUndefined();

      // With the last run that builds on them, they go.
      await journal.deleteRun(name, third!.runId);
      expect(await slots.countDocuments({ journal: name, kept: { $exists: true } })).toBe(0);
      expect(await everything(diary, name)).toEqual(before.filter((state) => runOf(state) === first!.runId));
    });
  });
}
