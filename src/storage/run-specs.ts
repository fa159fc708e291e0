import type { Filter } from "mongodb";
import { type Given, givenOf, withGiven } from "../domain/run/given.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Thread } from "../domain/thread.ts";
import type { Collections } from "./collections.ts";
import type { SpecDocument, SpecNote } from "./documents.ts";
import { noteOf, notesBefore } from "./notes.ts";
import { givenApart, ofIncarnation, type RunDocument, runKey, threadKey } from "./run-document.ts";

type Recorded = RunName & Pick<Run, "made" | "givenApart" | "spec" | "assistant">;

export interface RunSpecs {
  /** Nothing where the record has it. */
  store(run: Run): Promise<void>;
  /** Repeatable. */
  remove(run: Recorded): Promise<void>;
  /** Removes what was stored beside the record with this `made`; nothing where all of it stood in the record. */
  removeMade(name: RunName, made: string): Promise<void>;
  /** Removes what was stored beside the records of all runs of this very thread; before the records go, which name it. */
  removeAll(thread: Thread): Promise<void>;
  /** See RunStore. */
  withGiven(found: readonly Run[]): Promise<Run[]>;
  /** See RunStore. */
  sweepSpecs(before: Date): Promise<void>;
}

/** What one removal takes. */
const chunk = 100;

const nameOf = (run: string, made: string): string => `${run}/${made}`;

export function createRunSpecs({
  runs,
  runSpecs,
  runSpecNotes,
}: Pick<Collections, "runs" | "runSpecs" | "runSpecNotes">): RunSpecs {
  type Made = Pick<RunDocument, "_id" | "made">;

  /** In this order, so that a crash leaves nothing without its note. */
  async function remove(thread_id: string, names: readonly string[]): Promise<void> {
    const deletions = [...names, ...names.map(noteOf)].map((_id) => ({ deleteOne: { filter: { _id, thread_id } } }));
    if (deletions.length > 0) await runSpecs.bulkWrite(deletions);
  }

  const find = async <T extends Made>(filter: Filter<RunDocument>, fields: Record<string, 1>): Promise<T[]> =>
    runs
      .find(filter)
      .project<T>({ made: 1, ...fields })
      .toArray();

  async function read(names: readonly string[]): Promise<Map<string, Given>> {
    const docs = names.length > 0 ? await runSpecs.find({ _id: { $in: [...names] } }).toArray() : [];
    return new Map(docs.map((doc) => [doc._id, doc]));
  }

  return {
    async store(run) {
      if (run.givenApart !== undefined || givenApart(run) === undefined) return;
      const { owner, made } = run;
      const _id = nameOf(runKey(run), made);
      const home = { owner, thread_id: threadKey(run) };
      const note: SpecNote = { _id: noteOf(_id), ...home, run: runKey(run), made, at: run.createdAt };
      const spec: SpecDocument = { _id, ...home, ...givenOf(run) };
      await runSpecs.insertMany([note as never, spec]);
    },

    async remove(run) {
      if (givenApart(run) !== undefined) await remove(threadKey(run), [nameOf(runKey(run), run.made)]);
    },

    removeMade: (name, made) => remove(threadKey(name), [nameOf(runKey(name), made)]),

    /** Index: thread_runs. */
    async removeAll(thread) {
      const found = await find({ ...ofIncarnation(thread), given_apart: { $gt: 0 } }, {});
      const names = found.map(({ _id, made }) => nameOf(_id, made));
      for (let i = 0; i < names.length; i += chunk) await remove(threadKey(thread), names.slice(i, i + chunk));
    },

    async withGiven(found) {
      const isApart = ({ givenApart }: Run) => givenApart !== undefined;
      const names = new Map(found.filter(isApart).map((run) => [runKey(run), nameOf(runKey(run), run.made)]));
      const given = await read([...names.values()]);
      const missing = [...names].filter(([, name]) => !given.has(name)).map(([run]) => run);
      if (missing.length > 0) {
        // Their records may have been stored anew since they were read.
        for (const { _id, made } of await find({ _id: { $in: missing } }, {})) names.set(_id, nameOf(_id, made));
        for (const [name, one] of await read(missing.map((run) => names.get(run)!))) given.set(name, one);
      }
      return found.map((run) => {
        const its = given.get(names.get(runKey(run)) ?? "");
        return its ? { ...withGiven(run, its), givenApart: undefined } : run;
      });
    },

    /** Index: notes_of_run_specs. */
    async sweepSpecs(before) {
      for await (const notes of notesBefore(runSpecNotes, before)) await settle(notes);
    },
  };

  /**
   * What a record names that is known to have an entry stays, and goes with it. As long as nobody knows of an entry another
   * storing may take the record's place; after that, and where there is none, it has come too late.
   */
  async function settle(notes: readonly SpecNote[]): Promise<void> {
    const fields = { changes: 1 } as const;
    const found = await find<Made & Pick<RunDocument, "changes">>(
      { _id: { $in: notes.map(({ run }) => run) } },
      fields,
    );
    const records = new Map(found.map((record) => [record._id, record]));
    const isOpen = ({ run }: SpecNote) => records.get(run)?.changes === 0;
    const isNeeded = ({ run, made }: SpecNote) => records.get(run)?.made === made;
    const decided = notes.filter((note) => !isOpen(note));
    const needed = decided.filter(isNeeded).map(({ _id }) => _id);
    if (needed.length > 0) await runSpecNotes.deleteMany({ _id: { $in: needed } });
    for (const { run, made, thread_id } of decided.filter((note) => !isNeeded(note))) {
      await remove(thread_id, [nameOf(run, made)]);
    }
  }
}
