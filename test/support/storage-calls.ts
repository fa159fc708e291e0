import type { StoredThread } from "../../src/domain/ports.ts";
import type { Batch } from "../../src/domain/run/batch.ts";
import type { Run } from "../../src/domain/run/run.ts";
import type { Projection } from "../../src/domain/thread/project.ts";
import { threadOf as asUsersSee } from "../../src/domain/thread/view.ts";
import { toAssistant } from "../../src/storage/assistant-store.ts";
import { slotKey } from "../../src/storage/journal-documents.ts";
import { toRun } from "../../src/storage/run-document.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { accessCalls } from "./access-contract.ts";
import { projected } from "./run-records.ts";
import {
  checkpointId,
  fenceRecord,
  itemName,
  journalOf,
  type Load,
  requestId,
  revOf,
  runId,
  servers,
  syntheticAssistant,
  syntheticRecord,
  syntheticRun,
  syntheticStoredThread,
  syntheticThread,
  threadId,
} from "./synthetic-load.ts";
import { webhookCalls } from "./webhook-storage-calls.ts";

/** A method, what it is called with (made when it is its turn), and a word where one method stands here several times. */
export type Row = readonly [
  method: string,
  args: () => unknown[] | Promise<unknown[]>,
  which?: string,
  /**
   * "walk": a page of a list, for which MongoDB walks an index in its order, and the embedded engines read all that its filter names.
   * "linear": it reads all that matches, by an index.
   */
  cost?: "walk" | "linear",
];

/** Every method of every store, called in all the ways that make it ask differently, on a database with this load. */
export function storageCalls(load: Load, now: number, stores: () => Stores): Record<string, readonly Row[]> {
  const owner = "";
  const anHourAgo = new Date(now - 3_600_000);
  const inAnHour = new Date(now + 3_600_000);
  const later = new Date(now + 40 * 24 * 3_600_000);
  const documentOf = (n: number): Run => toRun(syntheticRun(n, load, now));
  const first = load.runs - load.liveRuns;
  let nextLive = first;
  /** A live run that no other row of the table has changed: of two that follow each other the first waits. */
  function aPair(): [waiting: Run, running: Run] {
    nextLive += 2;
    return [documentOf(nextLive - 2), documentOf(nextLive - 1)];
  }
  const aWaiting = () => aPair()[0];
  const aRunning = () => aPair()[1];
  const over = (n: number) => documentOf(n);
  const threadOf = (n: number) => ({ owner, threadId: threadId(n) });
  const stored = (n: number) => syntheticStoredThread(n, load, now);
  const aThread = (n: number) => asUsersSee(stored(n));
  /** A thread that is not there. */
  function newThread(n: number): StoredThread {
    const { origin, control } = stored(5);
    const name = threadOf(n);
    return { origin: { ...origin, ...name, journal: journalOf(n) }, control: { ...control, threadId: name.threadId } };
  }
  const largeControl = (n: number) => {
    const { control } = stored(n);
    return { ...control, rev: "large", state: { ...control.state!, values: "{}", apart: "large" } };
  };
  const ends = (run: Run): Projection => ({
    changes: run.changes + 1,
    journal: run.journal ?? "journal",
    n: 1,
    attempt: 1,
    status: "success",
    phase: "over",
    endedAt: new Date(now),
  });
  /** One that was given too much for its record. */
  const large = (run: Run): Run => ({ ...run, givenApart: 20_000 });
  const withItsEnd = (run: Run) => [run, ends(run)];
  const some = { limit: 32 };
  /** From the middle on. */
  const someFrom = (n: number, afterMs = 0) => {
    const { origin, control } = stored(n % load.threads);
    return { limit: 32, after: { ...origin, at: control.updatedAt + afterMs } };
  };
  const amidLive = () => someFrom(first + load.liveRuns / 2);
  const amid = (afterMs?: number) => someFrom(load.threads / 2, afterMs);
  const journal = journalOf(3);
  const nothing = { checkpoints: new Set(), writes: new Set(), segments: new Set() };
  const page = { limit: 21 };
  /** Deep in the list. */
  const after = () => ({ limit: 21, after: documentOf(Math.floor(load.runs / 2)) });
  const newestFirst = { by: "created_at", descending: true } as const;
  const lastChanged = { by: "updated_at", descending: true } as const;
  const lastIds = { by: "thread_id", descending: true } as const;
  const oldestFirst = { by: "created_at", descending: false } as const;
  /** The same of threads. */
  const deep = (field: "created_at" | "updated_at") => {
    const n = Math.floor(load.threads / 2);
    return { limit: 21, after: [syntheticThread(n, load, now)[field].getTime(), threadId(n)] };
  };
  const deepStatus = () => ({ limit: 21, after: ["idle", threadId(Math.floor(load.threads / 2))] });
  const deepId = () => ({ limit: 21, after: Array(2).fill(threadId(Math.floor(load.threads / 2))) });
  const server = (id: string) => ({ id, machine: "m", pid: 1, started: "", children: [], freeSlots: 0 });
  const request = (id: string) => ({ ...over(1), requestId: id, hash: "h" });
  const batch = (batchId: string): Batch => ({
    owner,
    batchId,
    hash: "h",
    created: new Date(now),
    done: false,
    runs: [over(1)],
    records: [],
  });
  const assistant = (n: number) => toAssistant(syntheticAssistant(n, now));
  const settled = async (run: Run) => (await projected(stores().runs, run, ends(run)))!;

  return {
    runs: [
      ["insert", () => [syntheticRecord(0, { runId: crypto.randomUUID() })]],
      ["insert", () => [over(0)], "taken"],
      ["withGiven", () => [[10, 20, 30].map((n) => large(over(n)))]],
      ["withGiven", () => [[{ ...over(10), made: "before", givenApart: 20_000 }]], "of one that was put again"],
      ["deleteUnentered", () => [aWaiting()]],
      ["deleteMade", () => [aWaiting()]],
      ["deleteUnentered", () => [large(aWaiting())], "with what lies apart"],
      ["putAgain", () => [{ ...aWaiting(), made: "again" }, "made"]],
      ["putAgain", () => [over(1), "made"], "of one that was executed"],
      ["project", () => withItsEnd(aRunning())],
      ["project", () => withItsEnd({ ...over(1), changes: 0 }), "late"],
      ["keepError", () => [aRunning(), "token", { name: "Error", message: "long" }]],
      ["find", () => [over(2)]],
      ["findMany", () => [[2, 3, 4, 5].map(over)]],
      ["list", () => [{ owner }, page], "first page", "walk"],
      ["list", () => [{ owner }, after()], "deep page", "walk"],
      ["list", () => [{ ...threadOf(5) }, page], "thread"],
      ["list", () => [{ ...threadOf(5), statuses: ["success"] }, after()], "thread, deep, by status"],
      ["list", () => [{ owner, statuses: ["success"] }, after()], "deep page by status", "walk"],
      ["list", () => [{ owner, statuses: ["timeout", "error"] }, page], "rare statuses", "walk"],
      ["list", () => [{ owner, statuses: ["pending", "running"] }, page], "live statuses"],
      ["list", () => [{ owner, metadata: { app: "chat" } }, page], "metadata", "walk"],
      ["list", () => [{ owner, metadata: { user: "user-8", app: "chat" } }, page], "metadata, two fields", "walk"],
      ["list", () => [{ owner, metadata: { user: "nobody" } }, page], "metadata of none"],
      ["list", () => [{ owner, statuses: ["success"], metadata: { app: "chat" } }, after()], "deep, metadata", "walk"],
      ["live", () => [{ owner, status: "all" }, 1000], "all"],
      ["live", () => [{ owner, status: "pending" }, 1000], "pending"],
      ["live", () => [{ owner, status: "all", createdBefore: new Date(now) }, 20, documentOf(load.runs - 9)], "deep"],
      ["live", () => [{ ...threadOf(5), status: "all" }, 1000], "thread"],
      ["live", () => [{ owner, status: "all", metadata: { app: "chat" } }, 1000], "metadata"],
      ["lastStarted", () => [threadOf(7)]],
      ["lastStarted", () => [threadOf(7), over(7).runId], "but one"],
      ["countLive", () => [1000]],
      ["countLive", () => [1000, owner], "of an owner"],
      ["liveChildren", () => [over(50), 100]],
      ["unentered", () => [new Date(now), 100]],
      ["unentered", () => [new Date(now), 100, documentOf(first + load.liveRuns / 2)], "deep"],
      ["saidToLive", () => ["running", new Date(now), 100]],
      ["saidToLive", () => ["pending", new Date(now), 100, documentOf(first + load.liveRuns / 2)], "deep"],
      ["insertTombstone", async () => [await settled(aRunning())]],
      ["remove", async () => [await settled(aRunning())]],
      ["remove", async () => [large(await settled(aRunning()))], "with what lies apart"],
      ["tombstone", () => [over(2)]],
      ["tombstones", () => [[2, 3].map(over)]],
      ["outliving", () => [aThread(10)]],
      ["outliving", () => [{ ...aThread(10), temporary: true }], "temporary"],
      ["removeAll", () => [aThread(11)]],
      ["removeAll", () => [{ ...aThread(12), temporary: true }], "temporary"],
      ["eventsDue", () => [new Date(now), some], "at the usual time"],
      ["eventsDue", () => [later, some]],
      ["eventsDue", () => [later, { limit: 32, after: { run: over(30), at: new Date(now + 1_800_000) } }], "deep"],
      ["eventsGone", () => [over(load.runs - load.liveRuns - 1)]],
      ["recordsDue", () => [new Date(now), some]],
      ["recordsDue", () => [inAnHour, { limit: 32, after: { run: over(30), at: new Date(now) } }], "deep"],
      ["removeRecord", () => [over(13), later]],
      ["removeRecord", () => [large(over(20)), later], "with what lies apart"],
      ["sweepSpecs", () => [new Date(now)]],
    ],
    lanes: [
      ["read", () => [threadOf(1)]],
      ["readMany", () => [[1, 2, 3].map(threadOf)]],
      ["insert", () => [newThread(load.threads + 1)]],
      ["insert", () => [newThread(load.threads + 1)], "taken"],
      ["write", () => [stored(1).origin, revOf(1), { ...stored(1).control, rev: "next" }]],
      ["write", () => [stored(1).origin, revOf(1), { ...stored(1).control, rev: "late" }], "late"],
      ["remove", () => [threadOf(15), revOf(15)]],
      ["remove", () => [threadOf(16), "another"], "of one that has changed"],
      ["ready", () => [some]],
      ["ready", () => [some, owner], "of an owner"],
      ["readyOwners", () => []],
      ["ready", () => [amidLive()], "deep"],
      ["headedBy", () => [servers[1], some]],
      ["headedBy", () => [servers[1], amidLive()], "deep"],
      ["headServers", () => []],
      ["owing", () => [now, some]],
      ["owing", () => [now, amid()], "deep"],
      ["owingBy", () => [servers[0], some]],
      ["owingBy", () => [servers[0], amid()], "deep"],
      ["due", () => [later.getTime(), some]],
      ["due", () => [later.getTime(), amid(29 * 24 * 3_600_000)], "deep"],
      ["expired", () => [later.getTime(), some]],
      ["expired", () => [later.getTime(), amid(29 * 24 * 3_600_000)], "deep"],
      ["removing", () => [now, some]],
      ["removing", () => [now, amid()], "deep"],
      ["temporary", () => [now, some]],
      ["temporary", () => [now, amid()], "deep"],
      ["sweepStates", () => [new Date(now)]],
      ["write", () => [stored(5).origin, revOf(5), largeControl(5), stored(5).control], "with a large state"],
    ],
    threads: [
      ["find", () => [threadOf(1)]],
      ["whole", () => [aThread(1)]],
      ["whole", () => [asUsersSee({ ...stored(6), control: largeControl(6) })], "of one with a large state"],
      ["search", () => [{ owner }, newestFirst, page], "first page", "walk"],
      ["search", () => [{ owner }, newestFirst, deep("created_at")], "deep page", "walk"],
      ["search", () => [{ owner, statuses: ["idle"] }, newestFirst, deep("created_at")], "deep page by status", "walk"],
      ["search", () => [{ owner, statuses: ["error", "interrupted"] }, newestFirst, page], "rare statuses", "walk"],
      ["search", () => [{ owner, metadata: { app: "chat" } }, newestFirst, page], "metadata", "walk"],
      [
        "search",
        () => [{ owner, metadata: { app: "chat" } }, newestFirst, deep("created_at")],
        "deep, metadata",
        "walk",
      ],
      [
        "search",
        () => [
          { owner, metadata: { app: "chat" }, statuses: ["idle"], values: { answer: "nothing" } },
          newestFirst,
          page,
        ],
        "metadata, values, status",
        "walk",
      ],
      ["search", () => [{ owner, values: { answer: "nothing" } }, newestFirst, page], "values", "walk"],
      ["search", () => [{ owner, graph: "agent" }, newestFirst, page], "graph", "walk"],
      [
        "search",
        () => [{ owner, exclude: [{ metadata: { app: "chat" } }] }, newestFirst, page],
        "all but some",
        "walk",
      ],
      ["search", () => [{ owner, threadIds: [3, 4, 5].map(threadId) }, newestFirst, page], "ids"],
      ["search", () => [{ owner }, lastChanged, page], "by change", "walk"],
      [
        "search",
        () => [{ owner, statuses: ["idle"] }, lastChanged, deep("updated_at")],
        "by change, deep, by status",
        "walk",
      ],
      ["search", () => [{ owner, metadata: { user: "user-7" } }, lastChanged, page], "by change, metadata", "linear"],
      ["search", () => [{ owner }, oldestFirst, page], "oldest first", "walk"],
      [
        "search",
        () => [{ owner, statuses: ["idle"] }, oldestFirst, deep("created_at")],
        "oldest first, deep, by status",
        "walk",
      ],
      ["search", () => [{ owner, metadata: { app: "chat" } }, oldestFirst, page], "oldest first, metadata", "walk"],
      ["search", () => [{ owner }, { by: "updated_at", descending: false }, page], "first changed", "walk"],
      ["search", () => [{ owner }, { by: "thread_id", descending: false }, page], "by id", "walk"],
      ["search", () => [{ owner, statuses: ["idle"] }, lastIds, deepId()], "by id, deep, by status", "walk"],
      ["search", () => [{ owner }, { by: "status", descending: false }, page], "in order of status", "walk"],
      [
        "search",
        () => [{ owner }, { by: "status", descending: true }, deepStatus()],
        "in order of status, deep",
        "walk",
      ],
      ["search", () => [{ owner, statuses: ["error"] }, { by: "status", descending: true }, page], "by status", "walk"],
      ["count", () => [{ owner }], "all", "linear"],
      ["count", () => [{ owner, statuses: ["error", "interrupted"] }], "rare statuses"],
      ["count", () => [{ owner, metadata: { user: "user-7" } }], "metadata", "linear"],
    ],
    events: [
      ["insert", () => [fenceRecord(over(21), 0)]],
      ["chunk", () => [over(load.runs - 3), 1]],
      ["head", () => [over(load.runs - 3)]],
      ["withChunk", () => [[3, 4].map((n) => ({ run: over(load.runs - n), chunk: 0 }))]],
      ["isFenced", () => [over(load.runs - 3), "t"]],
      ["from", () => [over(load.runs - 3), 3]],
      ["firstAfter", () => [over(load.runs - 3), runId(1)]],
      ["remove", () => [over(load.runs - 5)]],
      ["remove", () => [over(21)], "behind a gate"],
      ["discard", () => [over(load.runs - 7)]],
      ["removeAll", () => [aThread((load.runs - 9) % load.threads)]],
    ],
    nudges: [
      ["open", () => ["me"]],
      ["add", () => ["me", [{ kind: "ready" }]]],
      ["read", () => ["me"]],
      ["watch", () => ["me", () => undefined, AbortSignal.abort()]],
    ],
    servers: [
      ["join", () => [server("me")]],
      ["beat", () => [server("me")]],
      ["declareDead", () => [{ ...server("another"), seenAt: new Date(now), readAt: new Date(now), isDead: false }]],
      ["others", () => ["me"]],
      ["watch", () => ["a-watch", "me", over(1), { ifLast: false, actor: "" }]],
      ["watchesOf", () => [servers[0]]],
      ["markLeft", () => ["a-watch"]],
      ["watchesOfRun", () => [over(load.runs - 3)]],
      ["unwatch", () => ["a-watch"]],
      ["presumeDead", () => [servers[1], new Date(now)]],
      ["barWatch", () => ["a-watch"]],
      ["end", () => ["me"]],
      ["forget", () => [servers[1]]],
    ],
    requests: [
      ["remember", () => [request("new")]],
      ["remember", () => [request(requestId(7))], "known"],
      ["done", () => [request("new")]],
      ["refused", () => [request("new")]],
      ["remember", () => [{ ...request("new"), hash: "another" }], "of another body"],
    ],
    batches: [
      ["insertBatch", () => [batch("new")]],
      ["findBatch", () => [batch("new")]],
      ["undoneBatches", () => [later, some]],
      ["undoneBatches", () => [later, { limit: 32, after: { ...batch("100"), created: new Date(now - 100) } }], "deep"],
      ["finishBatch", () => [batch("new")]],
      ["unstorable", () => [[over(1)]]],
    ],
    ...webhookCalls({ over, anHourAgo, later }),
    assistants: [
      ["insert", () => [assistant(10_000_000)]],
      ["find", () => [assistant(5)]],
      ["replace", () => [assistant(6), assistant(6)]],
      ["remove", () => [assistant(7)]],
      ["scan", () => [{ owner }], "all", "linear"],
      ["scan", () => [{ owner, graph: "agent" }, assistant(200)], "deep, of a graph", "linear"],
    ],
    ...accessCalls(anHourAgo),
    items: [
      ["put", () => [{ ...itemName(1), value: "{}" }]],
      [
        "put",
        () => [
          { ...itemName(2), value: "{}" },
          { by: later, limitMs: 1_000 },
        ],
        "of a run",
      ],
      ["find", () => [itemName(3)]],
      ["prolong", () => [{ ...itemName(10), updatedAt: new Date(now - 10_000), ttlMs: 30 * 24 * 3_600_000 }]],
      ["remove", () => [itemName(4)]],
      ["scan", () => [owner, itemName(250).namespace, 10]],
      ["scan", () => [owner, ["users"], 10], "of all below", "linear"],
      ["namespaces", () => [owner, itemName(250).namespace]],
      ["namespaces", () => [owner, []], "all", "linear"],
    ],
    journals: [
      ["insert", () => [{ _id: slotKey(journal, 500), journal, slot: 500, owner, thread_id: threadId(3) }]],
      ["at", () => [journal, 5]],
      ["head", () => [journal]],
      ["last", () => [journal]],
      ["lastData", () => [journal, 90]],
      ["firstFence", () => [journal, "t"]],
      ["insertFences", () => [{ journal, owner, thread_id: threadId(3), fences: "t" }, 600, 603]],
      ["home", () => [journal]],
      ["slotsOfRun", () => [journal, runId(3)]],
      ["keptSlots", () => [journal]],
      ["slotsAfter", () => [journal, 90]],
      ["blankRun", () => [journal, runId(3), 2]],
      ["keepSegments", () => [journal, slotKey(journal, 30), [`segment-3-30`]]],
      ["keepAncestors", () => [journal, runId(3), 5]],
      ["blankJournal", () => [journalOf(4), new Date(now)]],
    ],
    wholeJournals: [
      ["slotOutlines", () => [journal]],
      ["thinSlot", () => [journal, slotKey(journal, 8), { ...nothing, isAncestor: false }]],
      ["copySlots", () => [journal, { journal: "copy", owner, thread_id: threadId(3) }, new Date(now), async () => {}]],
      ["keepSlots", () => ["copy"]],
      ["dropSlots", () => ["copy"]],
    ],
    queries: [
      ["checkpoint", () => [journal, checkpointId(3, 50)]],
      ["newest", () => [journal, ""]],
      ["history", () => [journal, { namespace: "", before: { slot: 50, position: 0 } }], "of a namespace"],
      ["history", () => [journal, {}]],
      ["writes", () => [journal, [checkpointId(3, 50), checkpointId(3, 52)], new Set()]],
      ["writes", () => [journal, [checkpointId(3, 50)], new Set(["segment-3-50", "segment-3-60"])], "with segments"],
      ["segments", () => [journal, new Set(["segment-3-50", "segment-3-60"])]],
      ["hasCheckpoints", () => [journal, runId(3)]],
      ["hasWritten", () => [journal, runId(3)]],
    ],
  };
}
