import type { Filter } from "mongodb";
import { boundedError } from "../domain/bounded.ts";
import type { RunStore } from "../domain/ports.ts";
import { withoutGiven } from "../domain/run/given.ts";
import type { Run, RunName } from "../domain/run/run.ts";
import type { Collections } from "./collections.ts";
import { createGather } from "./gather.ts";
import { insertEach, insertIfFree } from "./insert-each.ts";
import { createLooks } from "./look-each.ts";
import {
  livePhases,
  newRunDocument,
  ofIncarnation,
  projectedFields,
  type RunDocument,
  runKey,
  threadKey,
  toRun,
} from "./run-document.ts";
import { createRunExpiry, expiry, type Retention } from "./run-expiry.ts";
import { createRunLists } from "./run-lists.ts";
import { createRunLookups } from "./run-lookups.ts";
import { createRunSpecs } from "./run-specs.ts";
import { type GuardedSet, setEach } from "./set-each.ts";

/** Runs in MongoDB. Each query says which index (see indexes.ts) it walks; those by name walk `_id`. */
export function createRunStore(
  { runs, tombstones, runSpecs, runSpecNotes }: Pick<Collections, "runs" | "tombstones" | "runSpecs" | "runSpecNotes">,
  options: Retention & { readonly now: () => Date },
  listed: Pick<Collections, "runs"> = { runs },
  isSharded = false,
): RunStore {
  const byName = (name: RunName): Filter<RunDocument> => ({ _id: runKey(name), thread_id: threadKey(name) });

  const look = createLooks(runs);
  const lookAtTombstone = createLooks(tombstones);
  const named = (name: RunName, doc: RunDocument | null) =>
    doc?.thread_id === threadKey(name) ? toRun(doc) : undefined;

  const specs = createRunSpecs({ runs, runSpecs, runSpecNotes });

  const insertTogether = createGather((documents: readonly RunDocument[]) => insertEach(runs, documents), {
    whose: ({ thread_id }) => thread_id,
  });
  const projectTogether = createGather(projectEach, { documentOf: ({ set }) => set, keyOf: ({ _id }) => _id });

  async function projectEach(projections: readonly GuardedSet[]): Promise<boolean[]> {
    const areAllNews = await setEach(runs, projections, isSharded);
    return projections.map(() => areAllNews);
  }

  /** Guard: the id is free. The record comes first: whoever has the id is known by it. */
  async function insert(run: Run): Promise<boolean> {
    const isFree = (await insertTogether(newRunDocument(run))) === "inserted";
    if (isFree) await specs.store(run);
    return isFree;
  }

  async function deleteMade(run: Run, guard: Filter<RunDocument> = {}): Promise<boolean> {
    const { deletedCount } = await runs.deleteOne({ ...byName(run), made: run.made, ...guard });
    if (deletedCount === 1) await specs.remove(run);
    return deletedCount === 1;
  }

  return {
    ...createRunLists(runs, listed.runs),
    ...createRunExpiry(runs, specs),
    ...createRunLookups({ runs }),
    insert,
    withGiven: specs.withGiven,
    sweepSpecs: specs.sweepSpecs,

    /** Guard: it is the one that was made then, nobody has brought it up to an entry since, and it is not over. */
    deleteUnentered: (run) => deleteMade(run, { changes: run.changes, phase: { $in: [...livePhases] } }),

    /** Guard: it is the one that was made then. */
    deleteMade,

    /** Guard: it is the one that was made so, and nobody has brought it up to an entry. What it names is stored before it. */
    async putAgain(run, made) {
      await specs.store(run);
      const { matchedCount } = await runs.replaceOne({ ...byName(run), made, changes: 0 }, newRunDocument(run));
      if (matchedCount === 1) await specs.removeMade(run, made);
      else await specs.remove(run);
      return matchedCount === 1;
    },

    /** Guard: the record says less, and nothing of another thread with the same id. An update: one of the embedded engines reads all records for a find-and-modify. */
    async project(name, projection) {
      const { journal, phase, endedAt, changes } = projection;
      return projectTogether({
        _id: runKey(name),
        is: { thread_id: threadKey(name) },
        isIfAny: { field: "journal", value: journal },
        below: { field: "changes", limit: changes },
        set: { ...projectedFields(projection), ...(phase === "over" ? expiry(options, endedAt!) : {}) },
      });
    },

    async keepError(name, token, error) {
      await runs.updateOne(
        { ...byName(name), phase: { $ne: "over" } },
        { $set: { long_error: { token, ...boundedError(error) } } },
      );
    },

    async find(name) {
      return named(name, await look(runKey(name)));
    },

    async findMany(names) {
      const docs = await runs.find({ _id: { $in: names.map(runKey) } }).toArray();
      return docs.map(toRun);
    },

    async insertTombstone(run, values) {
      const doc = await runs.findOne(byName(run));
      if (!doc) return;
      const { spec, assistant } = withoutGiven(doc);
      const bare = { spec: { ...spec, metadata: {} }, assistant, given_apart: undefined };
      const webhook = doc.webhook?.state === "pending" ? { ...doc.webhook, kept: toldOf(doc, values) } : doc.webhook;
      const buried_at = options.now();
      await insertIfFree(tombstones, { ...doc, ...lifeOf(run), ...unexpired, ...bare, webhook, tokens: [], buried_at });
    },

    /** Guard: it is the one that was made then. Another thread may have a run of that name by now. */
    async remove(run) {
      await specs.remove(run);
      return (await runs.deleteOne({ ...byName(run), made: run.made })).deletedCount === 1;
    },

    async tombstone(name) {
      return named(name, await lookAtTombstone(runKey(name)));
    },

    async tombstones(names) {
      const docs = await tombstones.find({ _id: { $in: names.map(runKey) } }).toArray();
      return docs.map(toRun);
    },

    /** Index: thread_runs. */
    async outliving(thread) {
      const owed: Filter<RunDocument> = thread.temporary ? {} : { "webhook.state": "pending" };
      const query: Filter<RunDocument> = { ...ofIncarnation(thread), ...owed, phase: "over" };
      return (await runs.find(query).sort({ n: -1 }).limit(10_000).toArray()).map(toRun);
    },

    /** Index: tombstones_of_thread. */
    async removeAll(thread) {
      const its = ofIncarnation(thread);
      if (!thread.temporary) await tombstones.deleteMany({ ...its, "webhook.state": { $ne: "pending" } });
      await specs.removeAll(thread);
      await runs.deleteMany(its);
    },
  };
}

/** A run's life as it is known, which may be ahead of its record. */
const lifeOf = (run: Run): Partial<RunDocument> => ({
  ...projectedFields(run),
  ...(run.error && { error: { name: run.error.name, message: run.error.message } }),
  long_error: undefined,
});

/** A tombstone's own time counts. */
const unexpired = { events_expire_at: undefined, expire_at: undefined };
/** What a webhook is still to be told of a run whose record goes. */
const toldOf = ({ spec }: RunDocument, values?: string) => ({ metadata: { ...spec.metadata }, values });
