import type { Bug } from "./bugs.ts";

/** In the guards of what is stored, and in what keeps late writers out. */
export const storageBugs: readonly Bug[] = [
  {
    what: "a control is written whoever has decided since",
    file: "storage/lanes.ts",
    lines: [["is: { rev: from }, set:", "is: {} as { rev: string }, set:"]],
  },
  {
    what: "a batch has landed when one of it has",
    file: "storage/set-each.ts",
    lines: [["  return modifiedCount === changes.length;\n", "  return modifiedCount > 0;\n"]],
  },
  {
    what: "what has missed in a batch counts as landed",
    file: "storage/lanes.ts",
    lines: [
      ["    return writes.map(({ set }) => landed.has(set.rev));\n", "    return writes.map(() => landed.size > 0);\n"],
    ],
  },
  {
    what: "what is taken counts as inserted beside others",
    file: "storage/insert-each.ts",
    lines: [['return its.code === duplicateKey ? "taken"', 'return its.code === duplicateKey ? "inserted"']],
  },
  {
    what: "nothing bars the id of a removed thread",
    file: "storage/lanes.ts",
    lines: [
      [
        "return (await threads.replaceOne({ _id: there._id, rev }, left as never)).matchedCount === 1;",
        "return (await threads.deleteOne({ _id: there._id, rev, left } as never)).deletedCount === 1;",
      ],
      ["const left = { removed_journal", "const left = { $exists: false } || { removed_journal"],
    ],
  },
  {
    what: "a record goes back to an earlier change",
    file: "storage/run-store.ts",
    lines: [['        below: { field: "changes", limit: changes },\n', "        ...(changes < 0 && {}),\n"]],
  },
  {
    what: "a projection brings a removed record back",
    file: "storage/set-each.ts",
    lines: [
      [
        "collection.updateOne(filter, update)",
        "collection.updateOne(filter, update, { upsert: changes[0]!.below !== undefined })",
      ],
    ],
  },
  {
    what: "a record is removed that says more by now",
    file: "storage/run-store.ts",
    lines: [["deleteMade(run, { changes: run.changes, phase: { $in: [...livePhases] } })", "deleteMade(run)"]],
  },
  {
    what: "a server that was declared dead beats again",
    file: "storage/servers.ts",
    lines: [["const alive = { _id: id, dead_at: { $exists: false } };", "const alive = { _id: id };"]],
  },
  {
    what: "the answer of a repeated request names other ids",
    file: "domain/run/request-ids.ts",
    lines: [["threadId: remembered.threadId, runId: remembered.runId, remembered };", "remembered };"]],
  },
  {
    what: "the journal is not fenced",
    file: "wiring/streams.ts",
    lines: [["      await journal.fence(thread.journal, token);\n", ""]],
  },
  {
    what: "the event log is not fenced",
    file: "wiring/streams.ts",
    lines: [
      ["return fenceEvents(events, run, { journal: thread.journal, token });", "return (await events.head(run)).last;"],
    ],
  },
  {
    what: "a hold is not fenced",
    isHardToFind: true,
    file: "worker/take-over.ts",
    lines: [["await parts.fenceHold(thread, id);", "void id;"]],
  },
  {
    what: "a repeated write of events is taken for a clean one",
    file: "stream/event-writer.ts",
    lines: [["          last = next.last!;\n", "          clean = true;\n          last = next.last!;\n"]],
  },
  {
    what: "an event writer that opens late steps over its gate",
    isHardToFind: true,
    file: "stream/event-writer.ts",
    lines: [
      [
        '  if (!options.isFirst && (await store.isFenced(run, token))) throw new FencedError("the attempt is fenced");\n',
        "",
      ],
    ],
  },
  {
    what: "a rollback leaves the events",
    file: "domain/thread/pay-debts.ts",
    lines: [["    await parts.data.removeEvents(run);\n", ""]],
  },
  {
    what: "a rollback leaves the checkpoints",
    file: "domain/thread/pay-debts.ts",
    lines: [["    await parts.data.removeCheckpoints(thread, run);\n", ""]],
  },
  {
    what: "a rolled back run leaves no tombstone",
    file: "domain/thread/pay-debts.ts",
    lines: [["      await runs.insertTombstone({ ...asInLane(run, entry), journal });\n", ""]],
  },
  {
    what: "a run's state is read after the next one has begun",
    isHardToFind: true,
    file: "domain/thread/pay-debts.ts",
    lines: [
      [
        "await parts.readState(threadOf(stored), graph, checkpoint);",
        "await parts.readState(threadOf(stored), graph);",
      ],
    ],
  },
  {
    what: "the thread remembers a deleted run's checkpoint",
    isHardToFind: true,
    file: "domain/threads.ts",
    lines: [["state !== undefined && (state.n === n || state.checkpointId === endCheckpointId)", "state?.n === n"]],
  },
  {
    what: "a watch that comes late stays",
    file: "services/watchers.ts",
    lines: [['how === "doubtful" ? parts.bar : parts.forget', "parts.forget"]],
  },
  {
    what: "a record takes the place of whatever stands there",
    file: "storage/run-store.ts",
    lines: [["replaceOne({ ...byName(run), made, changes: 0 }", "replaceOne(byName(run)"]],
  },
  {
    what: "a server is declared dead that was heard of since",
    isHardToFind: true,
    file: "storage/servers.ts",
    lines: [["const unheard = { _id: id, seen_at: seenAt };", "const unheard = { _id: id };\n      void seenAt;"]],
  },
  {
    what: "what goes with a thread is also that of the next one with its id",
    isHardToFind: true,
    file: "storage/run-document.ts",
    lines: [["({ thread_id: threadKey(thread), journal: thread.journal })", "({ thread_id: threadKey(thread) })"]],
  },
  {
    what: "a repeated request that was refused is given another run",
    isHardToFind: true,
    file: "storage/request-store.ts",
    lines: [["deleteOne({ ...guard, repeated: { $ne: true } })", "deleteOne(guard)"]],
  },
];
