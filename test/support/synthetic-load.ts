import type { Collection, Db } from "mongodb";
import type { Run } from "../../src/domain/run.ts";
import { metadataTokens, stateTokens, valueTokens } from "../../src/domain/search-tokens.ts";
import type { RunStatus, ThreadStatus } from "../../src/domain/transitions.ts";
import { type Collections, collections } from "../../src/storage/collections.ts";
import type {
  AssistantDocument,
  BatchDocument,
  ItemDocument,
  RequestDocument,
  RunEventsDocument,
  ThreadDocument,
} from "../../src/storage/documents.ts";
import { newItemDocument } from "../../src/storage/item-store.ts";
import { type JournalDocument, slotKey } from "../../src/storage/journal-documents.ts";
import { newRunDocument, type RunDocument } from "../../src/storage/run-document.ts";
import { expiry } from "../../src/storage/run-expiry.ts";

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

export function syntheticRun(n: number, { runs, threads, liveRuns }: Load, now: number): RunDocument {
  const createdAt = new Date(now - ((runs - n) * 30 * day) / runs);
  const isLive = n >= runs - liveRuns;
  const isWaiting = isLive && n % 2 === 0;
  const server = servers[Math.floor(n / 2) % servers.length]!;
  const run: Run = {
    ...{ owner: "", runId: runId(n), threadId: threadId(n % threads), graph: "agent" },
    ...{ assistant: { assistantId: "agent", version: 1 }, n: Math.floor(n / threads) + 1 },
    spec: {
      ...{
        assistantId: "agent",
        input: '{"question":"what is new?"}',
        metadata: { user: `user-${n % 50}`, app: n % 2 === 0 ? "chat" : "batch" },
      },
      ...{ streamModes: ["values"], streamSubgraphs: false, interruptBefore: [], interruptAfter: [] },
      ...{ multitaskStrategy: "enqueue", durability: "sync", onCompletion: "delete" },
    },
    ...{ status: isWaiting ? "pending" : "running", phase: isWaiting ? "waiting" : "running" },
    ...{ attempt: isWaiting ? 0 : 1, lostAttempts: 0, suspect: false, createdAt, cleanupPending: false },
    startedAt: isWaiting ? undefined : createdAt,
    lease: isLive && !isWaiting ? { token: `token-${n}`, server, until: new Date(now + day), unfenced: [] } : undefined,
  };
  const document = newRunDocument(run, isWaiting && n % 4 === 0);
  if (isLive) return document;
  const end = new Date(createdAt.getTime() + 5_000);
  const { events_expire_at, ...record } = expiry({ eventsTtlMs: 3_600_000, runTtlMs: 30 * day }, end);
  const events = events_expire_at!.getTime() > now ? { events_expire_at } : {};
  const over = { phase: "over", lease: null, ended_at: end, last_sequence: 10, end_checkpoint_id: "c" } as const;
  const unfinished = n % 20_000 === 0 ? ({ cleanup: "pending" } as const) : {};
  return { ...document, ...over, ...record, ...events, ...unfinished, status: statusOf(n) };
}

const restingStatusOf = (n: number): ThreadStatus => (n % 100 < 96 ? "idle" : n % 100 < 98 ? "error" : "interrupted");

export function syntheticThread(n: number, { runs, threads, liveRuns }: Load, now: number): ThreadDocument {
  const newest = Math.floor((runs - 1 - n) / threads) * threads + n;
  const isBusy = newest >= runs - liveRuns;
  const at = new Date(now - ((runs - newest) * 30 * day) / runs);
  const [metadata, values] = [{ user: `user-${n % 50}`, app: n % 2 === 0 ? "chat" : "batch" }, '{"answer":"nothing"}'];
  return {
    ...{ _id: threadId(n), owner: "", thread_id: threadId(n), journal: journalOf(n) },
    ...{
      n: Math.floor(newest / threads) + 1,
      turn: isBusy ? runId(newest) : null,
      status: isBusy ? "busy" : restingStatusOf(n),
    },
    ...{ metadata, metadata_revision: 0, metadata_tokens: metadataTokens("", metadata) },
    ...{
      value_tokens: [...stateTokens("", { graph: "agent" }), ...valueTokens("", values)],
      error: null,
      created_at: at,
      updated_at: at,
      ttl_ms: null,
    },
    state: { n: 1, graph: "agent", checkpointId: "c", values, next: [], interrupts: [] },
    ...{ temporary: false, removing: false, expire_at: null },
  };
}

export const requestId = (n: number): string => `request-${n}`;

const syntheticRequest = (n: number, now: number): RequestDocument => ({
  ...{ _id: `create:${requestId(n)}`, owner: "", hash: "h", thread_id: threadId(n), run_id: runId(n), created: true },
  expire_at: new Date(now + day),
});

const syntheticBatch = (n: number, now: number): BatchDocument => ({
  ...{ _id: `batch:${n}`, owner: "", kind: "batch", hash: "h", created: new Date(now - n), done: n % 50 !== 0 },
  ...{ runs: [], expire_at: new Date(now + day) },
});

export const syntheticAssistant = (n: number, now: number): AssistantDocument => ({
  ...{ _id: assistantId(n), owner: "", assistant_id: assistantId(n), graph: n % 2 === 0 ? "agent" : "other" },
  ...{ name: `assistant ${n}`, description: "", config: null, context: null, metadata: "{}", version: 1 },
  ...{ created_at: new Date(now - n * 1_000), updated_at: new Date(now - n * 1_000) },
});
const assistantId = (n: number): string => `0193d000-0000-4000-8000-${number(n)}`;

/** Of each thousand a user's, who has a namespace below the users' for each hundred. */
export const itemName = (n: number) => ({
  ...{ owner: "", key: `item-${n}` },
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
    ...{ _id: `${id}:${String(chunk).padStart(10, "0")}`, owner: "", thread_id: threadId(run % threads), run_id: id },
    ...{ chunk, token: `token-${run}`, gate: false, first: chunk * 3 + 2, last: chunk * 3 + 4, at: new Date() },
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
    ...{ _id: slotKey(journal, slot), journal, slot, owner: "", thread_id: threadId(thread) },
    ...{ run_id: runId(thread + threads * Math.floor(slot / 10)), token: `token-${slot}`, flush_id: `${n}.0` },
    checkpoints: ["", "inner"].map((ns) => ({
      ...{ ns, id: ns === "" ? id : `${id}-${ns}`, checkpoint: value, metadata: value, fields: "{}", values: [] },
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
    threads: await insertAll(all.threads, load.threads, (n) => syntheticThread(n, load, now)),
    run_events: await insertAll(all.runEvents, eventful * chunks, (n) =>
      syntheticEvents(load.runs - 1 - Math.floor(n / chunks), n % chunks, load),
    ),
    tombstones: await insertAll(all.tombstones, 500, (n) => ({
      ...syntheticRun(n, load, now),
      ...{ _id: runId(10_000_000 + n), expire_at: undefined, buried_at: new Date() },
    })),
    requests: await insertAll(all.requests, 1_000, (n) => syntheticRequest(n, now)),
    batches: await insertAll(all.batches, 200, (n) => syntheticBatch(n, now)),
    assistants: await insertAll(all.assistants, 500, (n) => syntheticAssistant(n, now)),
    items: await insertAll(all.items, load.threads, (n) => syntheticItem(n, now)),
    watches: await insertAll(all.watches, 200, (n) => ({
      ...{ _id: `watch-${n}`, owner: "", thread_id: threadId(n), run_id: runId(load.runs - 1 - n) },
      ...{ server: servers[n % servers.length]!, if_last: n % 2 === 0, left: false },
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
