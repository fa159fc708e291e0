/**
 * A deliberate fault at the heart of a law, and the test that must fail of it. Law tests that have never been seen to fail
 * prove nothing; scripts/break-laws.ts applies each of these to a copy of the sources and demands the failure.
 */
export interface Break {
  readonly law: number;
  readonly file: string;
  /** The lines to replace, each found exactly once, and what takes their place. */
  readonly lines: readonly (readonly [from: string, to: string])[];
  /** What is broken then, in one sentence. */
  readonly means: string;
  /** The file of the test, and its name or the part of it that says which. */
  readonly test: string;
  readonly name: string;
}

export const breaks: readonly Break[] = [
  {
    law: 1,
    file: "src/worker/child/activity.ts",
    lines: [["  async settle(): Promise<void> {\n", "  async settle(): Promise<void> {\n    return;\n"]],
    means: "An attempt is reported as ended while its node functions still run.",
    test: "test/laws/law-01-status-waits.test.ts",
    name: "the status of a cancelled run stays",
  },
  {
    law: 1,
    file: "src/worker/child-stops.ts",
    lines: [
      [
        "    if (neighbours.length === 0 || !responsive) {\n      this.#process.kill();\n",
        '    if (neighbours.length === 0 || !responsive) {\n      this.#process.endedUnstarted(attempt, "stopped");\n',
      ],
    ],
    means: "When the grace is over, a deaf node is taken for stopped instead of being killed.",
    test: "test/laws/law-01-stopped-means-stopped.test.ts",
    name: "a deaf node leaves no sign of life",
  },
  {
    law: 2,
    file: "src/domain/thread/decide.ts",
    lines: [
      [
        "        if (await send(attempted)) return { hasLanded: true };\n",
        "        if (next.control.lane.entries.some(({ cancel }) => cancel) || (await send(attempted))) return { hasLanded: true };\n",
      ],
    ],
    means: "A cancel of a running run is signalled and answered, but not stored.",
    test: "test/crashes/law-02-a-cancel-is-durable.test.ts",
    name: "also when its signal was never delivered",
  },
  {
    law: 2,
    file: "src/domain/thread/attempts.ts",
    lines: [
      [
        "  if (entry.cancel) return endAsCancelled(control, entry, command, now);\n  return result === ",
        '  if (entry.cancel && result === "stopped") return endAsCancelled(control, entry, command, now);\n  return result === ',
      ],
    ],
    means: "A run that comes to its end while a cancel is stored settles as a success.",
    test: "test/laws/law-02-no-other-end.test.ts",
    name: "that comes to its end meanwhile",
  },
  {
    law: 3,
    file: "src/domain/thread/move.ts",
    lines: [["  if (!(from as readonly string[]).includes(entry.phase)) return false;\n", "  void from;\n"]],
    means: "No transition asks for the phase that the run is in.",
    test: "test/laws/law-03-terminal-is-terminal.test.ts",
    name: "INTERRUPTED is terminal before anybody has been told",
  },
  {
    law: 3,
    file: "src/domain/thread/cancel.ts",
    lines: [["  if (isEnded(entry)) {\n", "  if (isEnded(entry) && entry.cancel) {\n"]],
    means: "A cancel that comes late makes an ended run an interrupted one.",
    test: "test/laws/law-03-terminal-is-terminal.test.ts",
    name: "ERROR is terminal before anybody has been told",
  },
  {
    law: 3,
    file: "src/storage/set-each.ts",
    lines: [["    ...is,\n    ...(isIfAny", "    ...(isIfAny"]],
    means: "A change of a thread is stored whatever others have decided since it was read.",
    test: "test/integration/lanes.test.ts",
    name: "is written on the revision that is stored, and on no other",
  },
  {
    law: 3,
    file: "src/storage/set-each.ts",
    lines: [["$cond: [{ $and: guards }, changed", "$cond: [{ $and: [] }, changed"]],
    means: "The same of changes that share a command.",
    test: "test/integration/lanes.test.ts",
    name: "is written together with others, each on its own revision",
  },
  {
    law: 3,
    file: "src/storage/run-store.ts",
    lines: [['        below: { field: "changes", limit: changes },\n', ""]],
    means: "A record takes what comes late, and goes back from its end.",
    test: "test/integration/run-records.test.ts",
    name: "never goes back, however late and often it comes",
  },
  {
    law: 9,
    file: "src/storage/run-events.ts",
    lines: [
      [
        '      return (await gathered(toDocument(chunk))) === "inserted";\n',
        "      await gathered(toDocument(chunk));\n      return true;\n",
      ],
    ],
    means: "Who comes too late for a chunk of events, because it was fenced there, is told that it is stored.",
    test: "test/integration/stores.test.ts",
    name: "are inserted where their numbers are free, each by itself",
  },
  {
    law: 4,
    file: "src/domain/thread/pay-debts.ts",
    lines: [["      await runs.insertTombstone({ ...asInLane(run, entry), journal });\n", ""]],
    means: "Nothing is kept of a rolled back run, so that who asks again learns something else.",
    test: "test/laws/law-04-repeats.test.ts",
    name: "ROLLBACK answers the same while the run stops and afterwards",
  },
  {
    law: 4,
    file: "src/domain/thread/cancel.ts",
    lines: [
      [
        '  return isAsStrong(stored, action) ? "already" : undefined;\n',
        '  return stored !== undefined && stored === action ? "already" : undefined;\n',
      ],
    ],
    means: "The last cancel wins: an interrupt after a rollback makes it an interrupt.",
    test: "test/laws/law-04-repeats.test.ts",
    name: "of INTERRUPT leaves a ROLLBACK what it is",
  },
  {
    law: 5,
    file: "src/worker/child/run-config.ts",
    lines: [["    durability: spec.durability,\n", '    durability: "async",\n']],
    means: "Checkpoints are stored behind the execution instead of before the next step.",
    test: "test/laws/law-05-interrupt-keeps.test.ts",
    name: "of a flat graph, killed while busy",
  },
  {
    law: 5,
    file: "src/worker/child/run-config.ts",
    lines: [["    durability: spec.durability,\n", '    durability: "exit",\n']],
    means: "Checkpoints are stored only at the end of the execution.",
    test: "test/laws/law-05-interrupt-keeps.test.ts",
    name: "of a flat graph, killed while busy",
  },
  {
    law: 6,
    file: "src/checkpoints/journal-deletion.ts",
    lines: [
      [
        "  if (ofRun.length > 0) await collection.blankRun(journal, runId, ofRun[0]!.slot);\n",
        "  const first = ofRun.find(({ checkpoints }) => (checkpoints ?? []).length > 0);\n  if (first) await collection.blankRun(journal, runId, first.slot);\n",
      ],
    ],
    means: "A rollback leaves the pending writes that the run put on earlier checkpoints.",
    test: "test/laws/law-06-rollback-leaves-nothing.test.ts",
    name: "of a run that has its answer, and has not come to the end of its node",
  },
  {
    law: 6,
    file: "src/domain/thread/pay-debts.ts",
    lines: [["    await parts.data.removeEvents(run);\n", ""]],
    means: "A rollback leaves the run's events.",
    test: "test/laws/law-06-rollback-leaves-nothing.test.ts",
    name: "of the first run of a thread",
  },
  {
    law: 7,
    file: "src/domain/thread/attempts.ts",
    lines: [
      [
        "  const first = firstInTurn(lane);\n",
        '  const first = lane.entries.find(({ phase, due }) => phase === "waiting" && due === undefined) ?? firstInTurn(lane);\n',
      ],
    ],
    means: "The next run is claimed while the former still executes.",
    test: "test/laws/law-07-one-run-at-a-time.test.ts",
    name: "in the order in which they were created one after the other",
  },
  {
    law: 7,
    file: "src/domain/thread/entry.ts",
    lines: [
      [
        "  entries.find((entry) => !isEnded(entry) && !isDelayed(entry));\n",
        "  entries.findLast((entry) => !isEnded(entry) && !isDelayed(entry));\n",
      ],
    ],
    means: "The run that came last is the next.",
    test: "test/laws/law-07-one-run-at-a-time.test.ts",
    name: "in the order in which they were created one after the other",
  },
  {
    law: 8,
    file: "src/stream/outcomes.ts",
    lines: [["settle(run, (one) => one.resolve(run));", "void run;"]],
    means: "Nobody wakes those who wait for a run.",
    test: "test/laws/law-08-nobody-waits-for-ever.test.ts",
    name: "success ends every wait, join and stream",
  },
  {
    law: 8,
    file: "src/server/client-gone.ts",
    lines: [["  if (leftMs !== undefined && leftMs <=", "  if (leftMs !== undefined && leftMs < 0 && leftMs <="]],
    means: "A call whose deadline is over counts as a client that has left.",
    test: "test/laws/law-08-deadlines.test.ts",
    name: "a deadline is not a disconnect",
  },
  {
    law: 9,
    file: "src/stream/event-writer.ts",
    lines: [
      [
        "          const landed = await store.insert(next);\n",
        "          options.published({ first: next.first!, last: next.last!, events });\n          const landed = await store.insert(next);\n",
      ],
    ],
    means: "Events are delivered before they are stored.",
    test: "test/laws/law-09-stored-first.test.ts",
    name: "nothing is delivered in front of the store",
  },
  {
    law: 9,
    file: "src/stream/event-writer.ts",
    lines: [
      [
        "  let { chunk, last } = options.isFirst ? firstEventHead : await store.head(run);\n",
        "  let { chunk, last } = options.isFirst ? firstEventHead : await store.head(run);\n  last = 1;\n",
      ],
    ],
    means: "Each attempt numbers its events from the start.",
    test: "test/crashes/law-09-attempts.test.ts",
    name: "a killed child: the stream goes on",
  },
  {
    law: 10,
    file: "src/worker/take-over.ts",
    lines: [["    for (const one of tokensToFence) lastSequence = await parts.fence(run, thread, one);\n", ""]],
    means: "A run is taken over without fencing the worker that had it.",
    test: "test/laws/law-10-take-over-fences.test.ts",
    name: "stores no checkpoint that was under way",
  },
  {
    law: 10,
    file: "src/domain/thread/attempts.ts",
    lines: [["  const lost = (entry.lost ?? 0) + 1;\n", "  const lost = entry.lost ?? 0;\n"]],
    means: "Lost attempts are not counted.",
    test: "test/crashes/law-10-child-crash.test.ts",
    name: "costs each of its runs an attempt",
  },
  {
    law: 10,
    file: "src/domain/thread/attempts.ts",
    lines: [
      [
        "  const { run, token, result, error } = command;\n  const entry = entryOf(control, run);\n",
        "  const { run, result, error } = command;\n  const entry = entryOf(control, run);\n  const token = entry?.lease?.token;\n  command = { ...command, token: token! };\n",
      ],
    ],
    means: "A worker writes an outcome without holding the lease.",
    test: "test/laws/law-10-late-outcome.test.ts",
    name: "is dropped: the run is another worker's",
  },
  {
    law: 11,
    file: "src/services/watchers.ts",
    lines: [["        exists = true;\n        if (gone) go(onDisconnect);\n", "        exists = true;\n"]],
    means: "A caller that leaves while its run is being stored is forgotten.",
    test: "test/laws/law-11-moments.test.ts",
    name: "grpc-js, cancelled, during runs.insert",
  },
  {
    law: 11,
    file: "src/server/client-gone.ts",
    lines: [["  if (shutdownSignal.aborted && context", "  if (false && context"]],
    means: "The server's own drain counts as the leaving of its callers.",
    test: "test/laws/law-11-moments.test.ts",
    name: "callers with CANCEL are told UNAVAILABLE",
  },
  {
    law: 11,
    file: "src/worker/take-over.ts",
    lines: [["= await cancelWatched(server, lost);\n", "= true;\n"]],
    means: "Callers of a server that died do not count as left.",
    test: "test/crashes/law-11-server-death.test.ts",
    name: "runs with a CANCEL watcher are cancelled by the next server",
  },
  {
    law: 12,
    file: "src/server/interceptors/validation.ts",
    lines: [["        return await validated(request);\n", "        return await next(request);\n"]],
    means: "Unknown values of enums, and all other requests of a wrong shape, are accepted.",
    test: "test/laws/law-12-shape.test.ts",
    name: 'CancelRun {"action":3}',
  },
  {
    law: 12,
    file: "src/domain/run/create-run.ts",
    lines: [
      [
        "    requireGraph(await requireCheckpoint(parts.findCheckpoint, thread, name, field), graph, field);\n",
        "    void requireGraph, requireCheckpoint;\n",
      ],
    ],
    means: "A run from a checkpoint that does not exist is accepted.",
    test: "test/laws/law-12-meaning.test.ts",
    name: "an unknown checkpoint, and another thread's",
  },
];
