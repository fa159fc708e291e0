import type { Collection, Db } from "mongodb";
import type { StoredThread } from "../../src/domain/ports.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import type { NewChunk } from "../../src/domain/run/run-events.ts";
import type { Command } from "../../src/domain/thread/commands.ts";
import { type Entry, newControl, type ThreadControl } from "../../src/domain/thread/entry.ts";
import { reduce } from "../../src/domain/thread/lane.ts";
import { projectionOf } from "../../src/domain/thread/project.ts";
import type { RunStatus } from "../../src/domain/transitions.ts";
import { type Collections, collections } from "../../src/storage/collections.ts";
import type {
  AssistantDocument,
  BatchDocument,
  ItemDocument,
  RequestDocument,
  RunEventsDocument,
  SpecDocument,
  SpecNote,
} from "../../src/storage/documents.ts";
import { newItemDocument } from "../../src/storage/item-store.ts";
import { type JournalDocument, slotKey } from "../../src/storage/journal-documents.ts";
import { newRunDocument, projectedFields, type RunDocument } from "../../src/storage/run-document.ts";
import { expiry } from "../../src/storage/run-expiry.ts";
import { type ThreadDocument, toThreadDocument } from "../../src/storage/thread-document.ts";

/** How a database that has been in use for a month looks: documents in their exact shape, inserted past the stores. */
export interface Load {
  readonly runs: number;
  readonly threads: number;
  /** Of the runs, the newest: half of them wait, half execute. */
  readonly liveRuns: number;
  /** Threads that have a journal, of a hundred slots each, with two checkpoints in each slot. */
  readonly journals: number;
}

const day = 24 * 3_600_000;
const batch = 2_000;
const inFlight = 3;
const slotsPerJournal = 100;
export const servers = ["server-0", "server-1", "server-2", "server-3"] as const;

const number = (n: number) => String(n).padStart(12, "0");
export const runId = (n: number): string => `0193a000-0000-7000-8000-${number(n)}`;
export const threadId = (n: number): string => `0193b000-0000-4000-8000-${number(n)}`;
export const journalOf = (thread: number): string => `0193c000-0000-7000-8000-${number(thread)}`;
export const checkpointId = (thread: number, slot: number): string => `checkpoint-${thread}-${slot}`;

/** Mostly well ended. */
const statusOf = (n: number): RunStatus =>
  n % 100 < 94 ? "success" : n % 100 < 97 ? "error" : n % 100 < 99 ? "interrupted" : "timeout";

const serverOf = (n: number): string => servers[Math.floor(n / 2) % servers.length]!;
const metadataOf = (n: number) => ({ user: `user-${n % 50}`, app: n % 2 === 0 ? "chat" : "batch" });

/** A record as it is stored before its entry. */
export const syntheticRecord = (n: number, change: Partial<Run> = {}): Run => ({
  owner: "",
  runId: runId(n),
  threadId: threadId(n),
  graph: "agent",
  made: `made-${n}`,
  changes: 0,
  n: 0,
  assistant: { assistantId: "agent", version: 1 },
  spec: {
    assistantId: "agent",
    input: '{"question":"what is new?"}',
    metadata: metadataOf(n),
    streamModes: ["values"],
    streamSubgraphs: false,
    interruptBefore: [],
    interruptAfter: [],
    multitaskStrategy: "enqueue",
    durability: "sync",
    onCompletion: "delete",
  },
  status: "pending",
  phase: "waiting",
  attempt: 0,
  createdAt: new Date(),
  ...change,
});

const createdAtOf = (n: number, { runs }: Load, now: number) => now - ((runs - n) * 30 * day) / runs;
const isLive = (n: number, { runs, liveRuns }: Load) => n >= runs - liveRuns;
const isWaiting = (n: number, load: Load) => isLive(n, load) && n % 2 === 0;

/** One run in so many was given too much for its record. */
const givenApartOne = 10;
const specKey = (n: number, load: Load) => ({
  _id: `${runId(n)}/made-${n}`,
  owner: "",
  thread_id: threadId(n % load.threads),
});

const syntheticSpec = (n: number, load: Load): SpecDocument => ({
  ...specKey(n, load),
  spec: { input: '{"question":"what is new?"}' },
  assistant: {},
});

const syntheticNote = (n: number, load: Load, now: number): SpecNote => {
  const { _id, ...home } = specKey(n, load);
  return { _id: `${_id}/new`, ...home, run: runId(n), made: `made-${n}`, at: new Date(createdAtOf(n, load, now)) };
};

/** One run in a hundred was created by a node of the one before it. */
export function syntheticRun(n: number, load: Load, now: number): RunDocument {
  const at = createdAtOf(n, load, now);
  const parent =
    n % 100 === 51
      ? { threadId: threadId((n - 1) % load.threads), runId: runId(n - 1), independent: false }
      : undefined;
  const record = newRunDocument(
    syntheticRecord(n, {
      threadId: threadId(n % load.threads),
      createdAt: new Date(at),
      parent,
      givenApart: n % givenApartOne === 0 ? 20_000 : undefined,
    }),
  );
  if (isWaiting(n, load)) return record;
  const journal = journalOf(n % load.threads);
  const begun = { run: runId(n), n: Math.floor(n / load.threads) + 1, first: at, attempt: 1 };
  if (isLive(n, load)) {
    const lease = { token: `token-${n}`, server: serverOf(n) };
    return { ...record, ...projectedFields(projectionOf({ ...begun, changes: 1, phase: "running", lease }, journal)) };
  }
  const end = { status: statusOf(n), sequence: 10, checkpoint: "c", at: at + 5_000, token: `token-${n}` };
  const over: Entry = { ...begun, changes: 2, phase: "over", end };
  const { events_expire_at, ...kept } = expiry({ eventsTtlMs: 3_600_000, runTtlMs: 30 * day }, new Date(end.at));
  const events = events_expire_at!.getTime() > now ? { events_expire_at } : {};
  return { ...record, ...projectedFields(projectionOf(over, journal)), ...kept, ...events };
}

/** Of a hundred threads one each is being removed, is temporary, goes after a time, waits for a delay, and owes an end. */
export function syntheticStoredThread(n: number, load: Load, now: number): StoredThread {
  const newest = Math.floor((load.runs - 1 - n) / load.threads) * load.threads + n;
  const at = createdAtOf(newest, load, now);
  const numberOfNewest = Math.floor(newest / load.threads) + 1;
  const state = { n: numberOfNewest, graph: "agent", checkpointId: "c", values: '{"answer":"nothing"}' };
  const isBusy = isLive(newest, load);
  const born: ThreadControl = {
    ...newControl({ threadId: threadId(n), rev: revOf(n), metadata: metadataOf(n) }, at),
    lane: { n: isBusy ? numberOfNewest - 1 : numberOfNewest, entries: [] },
    state: { ...state, next: n % 100 < 98 ? [] : ["ask"], interrupts: [] },
    last: { n: numberOfNewest, status: n % 100 === 96 || n % 100 === 97 ? "error" : "success" },
  };
  const commands = isBusy ? liveOf(newest, load) : restOf(n, at);
  const control = commands.reduce((before, command) => decided(before, command, at), born);
  return {
    origin: { owner: "", threadId: threadId(n), journal: journalOf(n), createdAt: at },
    control: n % 100 === 51 ? { ...control, watchedBy: [] } : control,
  };
}

export const syntheticThread = (n: number, load: Load, now: number): ThreadDocument =>
  toThreadDocument(syntheticStoredThread(n, load, now));

export const revOf = (n: number): string => `rev-${n}`;

function decided(before: ThreadControl, command: Command, at: number): ThreadControl {
  const reduction = reduce(before, command, at);
  if ("refusal" in reduction) throw new Error(reduction.refusal.message);
  return reduction.control;
}

const entered = (run: string, server: string) => ({ kind: "enter", server, run, strategy: "enqueue" }) as const;

function liveOf(run: number, load: Load): Command[] {
  const enter = entered(runId(run), serverOf(run));
  return [isWaiting(run, load) ? enter : { ...enter, next: `token-${run}` }];
}

/** What has become of a thread without a live run. */
function restOf(n: number, at: number): Command[] {
  const server = serverOf(n);
  const [run, token] = [runId(30_000_000 + n), `token-${n}`];
  const change = { kind: "change", server } as const;
  switch (n % 100) {
    case 11:
      return [{ ...change, remove: { when: "idle" } }];
    case 21:
      return [{ ...change, ttlMs: 29 * day }];
    case 31:
      return [{ ...entered(run, server), due: at + 29 * day }];
    case 41:
      return [
        { ...entered(run, server), next: token },
        { kind: "settle", server, run, token, sequence: 1, result: "success" },
      ];
    default:
      // So that all that is computed is.
      return [{ ...change, ttlMs: null }];
  }
}

export const requestId = (n: number): string => `request-${n}`;

const syntheticRequest = (n: number, now: number): RequestDocument => ({
  _id: `create:${requestId(n)}`,
  owner: "",
  hash: "h",
  thread_id: threadId(n),
  run_id: runId(n),
  created: true,
  expire_at: new Date(now + day),
});

const syntheticBatch = (n: number, now: number): BatchDocument => ({
  _id: `batch:${n}`,
  owner: "",
  kind: "batch",
  hash: "h",
  created: new Date(now - n),
  done: n % 50 !== 0,
  runs: [],
  expire_at: new Date(now + day),
});

export const syntheticAssistant = (n: number, now: number): AssistantDocument => ({
  _id: assistantId(n),
  owner: "",
  assistant_id: assistantId(n),
  graph: n % 2 === 0 ? "agent" : "other",
  name: `assistant ${n}`,
  description: "",
  config: null,
  context: null,
  metadata: "{}",
  version: 1,
  created_at: new Date(now - n * 1_000),
  updated_at: new Date(now - n * 1_000),
});
const assistantId = (n: number): string => `0193d000-0000-4000-8000-${number(n)}`;

/** Of each thousand a user's, who has a namespace below the users' for each hundred. */
export const itemName = (n: number) => ({
  owner: "",
  key: `item-${n}`,
  namespace: ["users", `user-${Math.floor(n / 1_000)}`, `topic-${Math.floor(n / 100)}`],
});

const syntheticItem = (n: number, now: number): ItemDocument => {
  const at = new Date(now - n * 1_000);
  const item = { ...itemName(n), value: `{"n":${n}}`, ttlMs: n % 10 === 0 ? 30 * day : undefined };
  return { ...newItemDocument(item, `write-${n}`, new Date(now + day)), created_at: at, updated_at: at };
};

function syntheticEvents(run: number, chunk: number, { threads }: Load): RunEventsDocument {
  const id = runId(run);
  return {
    _id: `${id}:${String(chunk).padStart(10, "0")}`,
    owner: "",
    thread_id: threadId(run % threads),
    run_id: id,
    journal: journalOf(run % threads),
    chunk,
    token: `token-${run}`,
    gate: false,
    first: chunk * 3 + 2,
    last: chunk * 3 + 4,
    events: Array.from({ length: 3 }, () => ({ kind: "output", mode: "values", name: "", namespace: [], json: "{}" })),
  };
}

function syntheticSlot(n: number, { threads }: Load): JournalDocument {
  const thread = Math.floor(n / slotsPerJournal) % threads;
  const slot = (n % slotsPerJournal) + 1;
  const [journal, id] = [journalOf(thread), checkpointId(thread, slot)];
  const value = { type: "json", bytes: Buffer.from('{"v":4,"channel_values":{},"channel_versions":{}}') };
  const write = { ...value, ns: "", checkpoint: id, task: `task-${slot}`, path: "", index: 0, channel: "messages" };
  return {
    _id: slotKey(journal, slot),
    journal,
    slot,
    owner: "",
    thread_id: threadId(thread),
    run_id: runId(thread + threads * Math.floor(slot / 10)),
    token: `token-${slot}`,
    flush_id: `${n}.0`,
    checkpoints: ["", "inner"].map((ns) => ({
      ns,
      id: ns === "" ? id : `${id}-${ns}`,
      checkpoint: value,
      metadata: value,
      fields: "{}",
      values: [],
    })),
    ...(slot % 2 === 0 ? { writes: [write] } : {}),
    ...(slot % 10 === 0 ? { segments: [{ id: `segment-${thread}-${slot}`, bytes: Buffer.alloc(64) }] } : {}),
  };
}

/** Inserts `count` documents, or as many as the time allows; answers how many, and in what time. */
async function insertAll<T extends object>(
  collection: Collection<T>,
  count: number,
  make: (n: number) => T,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<{ count: number; ms: number }> {
  const start = performance.now();
  let next = 0;
  const insertNext = async () => {
    while (next < count && performance.now() - start < limitMs) {
      const from = next;
      next = Math.min(count, from + batch);
      const documents = Array.from({ length: next - from }, (_, i) => make(from + i));
      await collection.insertMany(documents as never, { ordered: false });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, insertNext));
  return { count: next, ms: performance.now() - start };
}

export type Loaded = Record<string, { readonly count: number; readonly ms: number }>;

/** Fills the collections of an open, empty database. */
export async function loadRuns(db: Db, load: Load, now: number): Promise<Loaded> {
  const all: Collections = collections(db);
  const [eventful, chunks] = [Math.min(load.runs, 2_000), 3];
  return {
    runs: await insertAll(all.runs, load.runs, (n) => syntheticRun(n, load, now)),
    thread_states: await insertAll(all.threadStates, 1_000, (n) => ({
      _id: `${threadId(n)}/rev-${n}`,
      owner: "",
      thread_id: threadId(n),
      text: "{}",
    })),
    run_specs: await insertAll(all.runSpecs, load.runs / givenApartOne, (n) => syntheticSpec(n * givenApartOne, load)),
    notes: await insertAll(all.runSpecNotes, 200, (n) => syntheticNote(n * givenApartOne, load, now)),
    threads: await insertAll(all.threads, load.threads, (n) => syntheticThread(n, load, now)),
    run_events: await insertAll(all.runEvents, eventful * chunks, (n) =>
      syntheticEvents(load.runs - 1 - Math.floor(n / chunks), n % chunks, load),
    ),
    tombstones: await insertAll(all.tombstones, 500, (n) => ({
      ...syntheticRun(n, load, now),
      _id: runId(10_000_000 + n),
      expire_at: undefined,
      buried_at: new Date(),
    })),
    requests: await insertAll(all.requests, 1_000, (n) => syntheticRequest(n, now)),
    batches: await insertAll(all.batches, 200, (n) => syntheticBatch(n, now)),
    assistants: await insertAll(all.assistants, 500, (n) => syntheticAssistant(n, now)),
    items: await insertAll(all.items, load.threads, (n) => syntheticItem(n, now)),
    watches: await insertAll(all.watches, 200, (n) => ({
      _id: `watch-${n}`,
      owner: "",
      thread_id: threadId(n),
      run_id: runId(load.runs - 1 - n),
      server: servers[n % servers.length]!,
      if_last: n % 2 === 0,
      left: false,
    })),
  };
}

/** Fills the journals of all threads, one after the other, as far as the time allows. */
export const loadCheckpoints = (db: Db, load: Load, limitMs: number): Promise<{ count: number; ms: number }> =>
  insertAll(
    db.collection<JournalDocument>("checkpoints"),
    load.journals * slotsPerJournal,
    (n) => syntheticSlot(n, load),
    limitMs,
  );

/** A fence record in the place of a run's chunk. */
export const fenceRecord = (run: RunName, chunk: number): NewChunk => ({
  run,
  journal: "journal",
  chunk,
  token: "t",
  isFence: true,
  first: null,
  last: null,
  events: [],
});
