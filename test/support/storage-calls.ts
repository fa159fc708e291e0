import type { Lease, Run } from "../../src/domain/run.ts";
import { slotKey } from "../../src/storage/journal-documents.ts";
import { toRun } from "../../src/storage/run-document.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { checkpointId, journalOf, type Load, runId, servers, syntheticRun, threadId } from "./synthetic-load.ts";

/** A method, what it is called with (made when it is its turn), and a word where one method stands here several times. */
export type Row = readonly [method: string, args: () => unknown[] | Promise<unknown[]>, which?: string];

/** Every method of every store, called in all the ways that make it ask differently, on a database with this load. */
export function storageCalls(load: Load, now: number, stores: () => Stores): Record<string, readonly Row[]> {
  const owner = "";
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
  const newThread = (n: number) => ({
    ...{ ...threadOf(n), journal: journalOf(n), n: 0, status: "idle", metadata: {}, temporary: false, removing: false },
    ...{ createdAt: new Date(), updatedAt: new Date(), ttlMs: 60_000 },
  });
  const lease = (): Lease => ({ token: "new", server: "another", until: later, unfenced: [] });
  const request = { action: "interrupt", reason: "", requestedBy: "client" } as const;
  const end = { lastSequence: 1 };
  const journal = journalOf(3);
  const chunk = (run: Run, n: number) => ({
    run,
    chunk: n,
    token: "t",
    gate: true,
    first: null,
    last: null,
    events: [],
  });
  const page = { limit: 21 };
  /** Deep in the list. */
  const after = () => ({ limit: 21, after: documentOf(Math.floor(load.runs / 2)) });
  const stopping = async () => (await stores().runs.requestCancel(aRunning(), 0, request))!;
  const settled = async (run: Run) =>
    (await stores().runs.finish(run, run.lease!.token, { ...end, status: "success" }))!;

  return {
    runs: [
      ["insert", () => [{ ...over(0), runId: crypto.randomUUID() }, { ready: false }]],
      ["withdraw", () => [{ ...over(1), runId: crypto.randomUUID() }]],
      ["find", () => [over(2)]],
      ["findMany", () => [[2, 3, 4, 5].map(over)]],
      ["list", () => [{ owner }, page], "first page"],
      ["list", () => [{ owner }, after()], "deep page"],
      ["list", () => [{ ...threadOf(5) }, page], "thread"],
      ["list", () => [{ ...threadOf(5), statuses: ["success"] }, after()], "thread, deep, by status"],
      ["list", () => [{ owner, statuses: ["success"] }, after()], "deep page by status"],
      ["list", () => [{ owner, statuses: ["timeout", "error"] }, page], "rare statuses"],
      ["list", () => [{ owner, statuses: ["pending", "running"] }, page], "live statuses"],
      ["list", () => [{ owner, metadata: { app: "chat" } }, page], "metadata"],
      ["list", () => [{ owner, statuses: ["success"], metadata: { app: "chat" } }, after()], "deep, metadata"],
      ["live", () => [{ owner, status: "all" }, 1000], "all"],
      ["live", () => [{ owner, status: "pending" }, 1000], "pending"],
      ["live", () => [{ ...threadOf(5), status: "all" }, 1000], "thread"],
      ["nextWaiting", () => [threadOf((first + 8) % load.threads)]],
      ["lastStarted", () => [threadOf(7)]],
      ["lastStarted", () => [threadOf(7), over(7).runId], "but one"],
      ["markReady", () => [aWaiting()]],
      ["ready", () => [32]],
      ["claim", () => [aWaiting(), lease()]],
      ["finish", () => [aRunning(), "no token", { ...end, status: "success" }]],
      ["handBack", () => [aRunning(), "no token", { lost: false, suspect: false, lastSequence: 1 }]],
      ["requestCancel", () => [aRunning(), 0, request]],
      ["cancelWaiting", () => [aWaiting(), request]],
      ["markDelivered", () => [aRunning(), "no token"]],
      ["settleCancelled", async () => [await stopping(), "no token", { ...end, outcome: "stopped" }]],
      ["unfinished", () => [1000]],
      ["waiting", () => [1000]],
      ["cleanupDone", () => [over(2)]],
      ["entomb", async () => [await settled(aRunning())]],
      ["remove", async () => [await settled(aRunning())]],
      ["tombstone", () => [over(2)]],
      ["forbid", () => [over(2)]],
      ["removeAll", () => [threadOf(11)]],
      ["eventsDue", () => [new Date(now), 100], "at the usual time"],
      ["eventsDue", () => [later, 100]],
      ["eventsGone", () => [over(load.runs - load.liveRuns - 1)]],
      ["recordsDue", () => [new Date(now), 100]],
      ["removeRecord", () => [over(12), later]],
    ],
    leases: [
      ["renew", () => [servers[0], later]],
      ["held", () => [servers[1]]],
      ["expired", () => [new Date(now), []]],
      ["expired", () => [new Date(now), [servers[2], servers[3]]], "of dead servers"],
      ["takeOver", () => [aRunning(), lease()]],
    ],
    threads: [
      ["insert", () => [newThread(load.threads + 1)]],
      ["find", () => [threadOf(1)]],
      ["enter", () => [threadOf(1), runId(20_000_000), { onlyFree: false }], "free"],
      ["enter", () => [threadOf(1), runId(20_000_001), { onlyFree: false }], "taken"],
      ["enter", () => [threadOf(load.threads + 9), runId(1), { onlyFree: false }], "missing"],
      ["passTurn", () => [threadOf(1), runId(20_000_000), runId(20_000_001)]],
      ["freeTurn", () => [threadOf(1), runId(20_000_001), 0, { status: "idle", ttlMs: undefined }]],
      ["takeTurn", () => [threadOf(2), "somebody"]],
      ["markRemoving", () => [threadOf(13)]],
      ["removing", () => []],
      ["remove", () => [threadOf(13)]],
      ["heldTurns", () => [later]],
      ["expired", () => [new Date(now), 100]],
      ["markExpired", () => [threadOf(14), later]],
    ],
    events: [
      ["insert", () => [[chunk(over(21), 0)]]],
      ["chunk", () => [over(load.runs - 3), 1]],
      ["head", () => [over(load.runs - 3)]],
      ["isFenced", () => [over(load.runs - 3), "t"]],
      ["from", () => [over(load.runs - 3), 3]],
      ["remove", () => [over(load.runs - 5)]],
      ["remove", () => [over(21)], "behind a gate"],
      ["discard", () => [over(load.runs - 7)]],
      ["removeAll", () => [threadOf((load.runs - 9) % load.threads)]],
    ],
    servers: [
      ["beat", () => [{ _id: "me", machine: "m", pid: 1, started: "", children: [] }]],
      ["others", () => ["me"]],
      ["watch", () => ["a-watch", "me", over(1)]],
      ["watchesOf", () => [servers[0]]],
      ["unwatch", () => ["a-watch"]],
      ["leave", () => ["me"]],
    ],
    journals: [
      ["insert", () => [{ _id: slotKey(journal, 500), journal, slot: 500, owner, thread_id: threadId(3) }]],
      ["at", () => [journal, 5]],
      ["head", () => [journal]],
      ["lastData", () => [journal, 90]],
      ["firstGate", () => [journal, "t"]],
      ["insertGates", () => [{ journal, owner, thread_id: threadId(3), fences: "t" }, 600, 603]],
      ["home", () => [journal]],
      ["slotsOfRun", () => [journal, runId(3)]],
      ["keptSlots", () => [journal]],
      ["slotsAfter", () => [journal, 90]],
      ["blankRun", () => [journal, runId(3), 2]],
      ["keepSegments", () => [journal, slotKey(journal, 30), [`segment-3-30`]]],
      ["keepAncestors", () => [journal, runId(3), 5]],
      ["blankJournal", () => [journalOf(4)]],
    ],
    queries: [
      ["checkpoint", () => [journal, checkpointId(3, 50)]],
      ["newest", () => [journal, ""]],
      ["history", () => [journal, { namespace: "", before: { slot: 50, position: 0 } }], "of a namespace"],
      ["history", () => [journal, {}]],
      ["writes", () => [journal, [checkpointId(3, 50), checkpointId(3, 52)]]],
      ["segments", () => [journal, new Set(["segment-3-50", "segment-3-60"])]],
      ["hasCheckpoints", () => [journal, runId(3)]],
    ],
  };
}
