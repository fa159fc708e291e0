import type { Bug } from "./bugs.ts";

/** In the order of what is done, in what looks after what was lost, and between servers. */
export const coordinationBugs: readonly Bug[] = [
  {
    what: "who has asked is answered before the decision has landed",
    file: "domain/thread/decide.ts",
    lines: [
      [
        "      const outcome = await write(attempted, life, read);\n",
        "      for (const answer of answersOf(round, control)) answer();\n      const outcome = await write(attempted, life, read);\n",
      ],
    ],
  },
  {
    what: "where a journal stood is believed after others have decided",
    file: "domain/thread/kept-threads.ts",
    lines: [["    mayHaveChanged: (name) => beside?.forget(name),\n", "    mayHaveChanged: () => undefined,\n"]],
  },
  {
    what: "where a journal stood is believed after a rollback or an edit",
    file: "domain/thread/decide.ts",
    lines: [
      ["        if (!round.asked.every(({ command }) => leavesJournal(command))) kept?.mayHaveChanged(name);\n", ""],
    ],
  },
  {
    what: "what changes nothing rests on what was kept",
    isHardToFind: true,
    file: "domain/thread/decide.ts",
    lines: [["      if (isSeen && !isChange) {\n", "      if (isSeen && !stored) {\n"]],
  },
  {
    what: "of what is folded only the last is written",
    file: "domain/thread/decide.ts",
    lines: [["reduce(control!, meant, at);", "reduce(from!.control, meant, at);"]],
  },
  {
    what: "of what is folded only the first is decided anew after a miss",
    file: "domain/thread/decide.ts",
    lines: [
      [
        "      misses += 1;\n",
        "      misses += 1;\n      const [first, ...others] = answersOf(round, control);\n      for (const answer of first ? others : []) answer();\n      for (const one of [...open].slice(1)) open.delete(one);\n",
      ],
    ],
  },
  {
    what: "a run begins before its record is stored",
    file: "domain/run/store-run.ts",
    lines: [["      const isStored = (await inserted) ?? true;\n", "      const isStored = true;\n"]],
  },
  {
    what: "a run is stored beside the decision that enters it, although its request may be repeated",
    isHardToFind: true,
    file: "domain/run/store-run.ts",
    lines: [["mayHaveTwins(run, options) || !isFree(seen) ? undefined", "!isFree(seen) ? undefined"]],
  },
  {
    what: "a run that has to wait is stored beside the decision that enters it",
    isHardToFind: true,
    file: "domain/run/store-run.ts",
    lines: [
      ["mayHaveTwins(run, options) || !isFree(seen) ? undefined", "mayHaveTwins(run, options) ? undefined"],
      ["    if (isLate || mayBeGone) await", "    if (isLate) await"],
    ],
  },
  {
    what: "a decision is made once more before the record is stored",
    isHardToFind: true,
    file: "domain/run/store-run.ts",
    lines: [["      await inserted;\n      if (options", "      if (options"]],
  },
  {
    what: "a run whose creator died before it was stored goes on",
    file: "worker/take-over.ts",
    lines: [["    const isStored = entry.attempt !== 1 ||", "    const isStored = entry.attempt !== 0 ||"]],
  },
  {
    what: "a run is given up although its record may still come",
    isHardToFind: true,
    file: "worker/take-over.ts",
    lines: [["    if (!isStored && parts.now().getTime() - entry.first! < parts.leaseMs) return;\n", ""]],
  },
  {
    what: "a refused creation leaves its record",
    file: "domain/run/store-run.ts",
    lines: [["      if (error instanceof DomainError) await deleteRefused(record, options);\n", ""]],
  },
  {
    what: "a refused request removes the record that its twin is about to enter by",
    isHardToFind: true,
    file: "domain/run/store-run.ts",
    lines: [["    const left = mayHaveTwins(record, options)\n", "    const left = options.again === null\n"]],
  },
  {
    what: "what was claimed in a life that is over is begun",
    isHardToFind: true,
    file: "worker/executor.ts",
    lines: [["    if (entry.lease?.server !== parts.self()) {\n", "    if (entry.lease === undefined) {\n"]],
  },
  {
    what: "a slow creation does not look after its record",
    file: "domain/run/store-run.ts",
    lines: [["      record = await keepRecord(record, options);\n", ""]],
  },
  {
    what: "a slow creation is not confirmed",
    isHardToFind: true,
    file: "domain/run/store-run.ts",
    lines: [["    if (isLate || mayBeGone) await", "    if (mayBeGone) await"]],
  },
  {
    what: "a record is swept away while its entry is under way",
    isHardToFind: true,
    file: "worker/sweep.ts",
    lines: [
      [
        '    const acted = await act.decide(run, { kind: "forget", run: run.runId, lacks: "entry" });\n',
        '    const acted = { answer: { did: "done" } };\n',
      ],
      [
        '    if (acted?.answer.did !== "missed") await runs.deleteUnentered(run);\n',
        "    await runs.deleteUnentered(run);\n",
      ],
    ],
  },
  {
    what: "waiters are told before the record",
    file: "domain/thread/pay-debts.ts",
    lines: [
      [
        "    const isNews = await runs.project(name, projectionOf(entry, journal));\n    if (isNews && known)",
        "    void runs.project(name, projectionOf(entry, journal)).catch(() => undefined);\n    if (known)",
      ],
    ],
  },
  {
    what: "an entry leaves before its record is stored",
    file: "domain/thread/pay-debts.ts",
    lines: [
      [
        "      done.add(entry.run);\n",
        "      done.add(entry.run);\n      remember(name, { run: entry.run, changes: entry.changes });\n",
      ],
    ],
  },
  {
    what: "nobody pays what a crash has left",
    file: "worker/sweep.ts",
    lines: [['    await each<FoundThread>("pay debts", (page) => lanes.owing(aLeaseAgo, page), act.payDebts);\n', ""]],
  },
  {
    what: "the heartbeat does not look for cancels",
    isHardToFind: true,
    file: "worker/heartbeat.ts",
    lines: [["        if (entry.cancel) parts.cancelStored(wishOf(thread, entry));\n", ""]],
  },
  {
    what: "an attempt goes on whose lease went to somebody else",
    isHardToFind: true,
    file: "worker/heartbeat.ts",
    lines: [["if (before.has(attempt) && !leased.has(attempt.token)) attempt.kill();", "void leased;"]],
  },
  {
    what: "a lease that nobody works under is kept",
    file: "worker/heartbeat.ts",
    lines: [["      if (!isKnown(thread, entry, knownBefore)) await parts.adoptUnknownLease(thread);\n", ""]],
  },
  {
    what: "a hold that nobody works under is kept",
    file: "worker/heartbeat.ts",
    lines: [["if (lane.holder) return parts.holds.has(lane.holder.id);", "if (lane.holder) return true;"]],
  },
  {
    what: "takes over before the server is declared dead",
    isHardToFind: true,
    file: "worker/take-over.ts",
    lines: [["    if (!(await servers.declareDead(server))) return;\n", ""]],
  },
  {
    what: "takes over from everybody who is slow",
    isHardToFind: true,
    file: "worker/server-presence.ts",
    lines: [["> options.silentAfterMs", "> options.silentAfterMs / 4"]],
  },
  {
    what: "does not kill what a dead server of its machine has left",
    isHardToFind: true,
    file: "worker/take-over.ts",
    lines: [["    if (isReachable) await parts.killChildren(server);\n", ""]],
  },
  {
    what: "nobody looks at what dead servers' watchers wanted",
    file: "worker/take-over.ts",
    lines: [["= await cancelWatched(server, lost);\n", "= true;\n"]],
  },
  {
    what: "a new life begins while the old one's attempts go on",
    isHardToFind: true,
    file: "wiring/upkeep.ts",
    lines: [["    await executor.killAll();\n", ""]],
  },
  {
    what: "the old life's decisions go on in a new one",
    isHardToFind: true,
    file: "wiring/foundation.ts",
    lines: [["      life.end.abort();\n", ""]],
  },
  {
    what: "a server that ends in order leaves no trace",
    file: "create-runs.ts",
    lines: [["stores.servers.end(self().id)", "stores.servers.forget(self().id)"]],
  },
  {
    what: "a hold that ends half-way is released",
    file: "domain/hold-thread.ts",
    lines: [["if (!isTransient(error)) await release();", "await release();"]],
  },
  {
    what: "an attempt settles before it can write nothing more",
    file: "worker/attempt.ts",
    lines: [["clean ? log.last : await parts.whileAway(() => parts.fence(run, thread, token))", "log.last"]],
  },
  {
    what: "an attempt does not stop for a cancel that came before it",
    isHardToFind: true,
    file: "worker/executor.ts",
    lines: [["const cancel = entry.cancel ?? early.get(key);", "const cancel = entry.cancel;"]],
  },
  {
    what: "a waiter is not told of ends in other servers",
    isHardToFind: true,
    file: "wiring/streams.ts",
    lines: [["  signals.endedElsewhere.on(outcomes.look);\n", ""]],
  },
  {
    what: "nobody looks for ends that were not told",
    isHardToFind: true,
    file: "nudges/followed-runs.ts",
    lines: [["      timer ??= setInterval(() => void rounds.join(), parts.everyMs).unref();\n", ""]],
  },
  {
    what: "a reader gets the end before the last events",
    file: "stream/tail.ts",
    lines: [["if (live.ended && next === live.ended.lastSequence! + 1)", "if (live.ended)"]],
  },
  {
    what: "a reader is given what is not stored in order",
    isHardToFind: true,
    file: "stream/tail.ts",
    lines: [["      if (chunk.first > next) break;\n", ""]],
  },
  {
    what: "a temporary thread goes while its run is live",
    isHardToFind: true,
    file: "domain/thread/change.ts",
    lines: [["if (live.length > 0 || control.lane.holder) {", "if (live.length > 99 || control.lane.holder) {"]],
  },
  {
    what: "nobody removes temporary threads after a crash",
    file: "wiring/upkeep.ts",
    lines: [['      "remove temporary threads": temporaryThreads.sweep,\n', ""]],
  },
  {
    what: "a thread goes before what hangs on it",
    isHardToFind: true,
    file: "domain/threads.ts",
    lines: [
      [
        "    for (const run of await runs.outliving(thread))",
        "    if (!(await lanes.remove(thread, stored.control.rev))) return false;\n    for (const run of await runs.outliving(thread))",
      ],
      ["    return lanes.remove(thread, stored.control.rev);\n", "    return true;\n"],
    ],
  },
  {
    what: "a deleted run leaves no last record",
    isHardToFind: true,
    file: "domain/threads.ts",
    lines: [
      [
        "    await runs.insertTombstone(run, await valuesOf(thread, run));\n    await runs.remove(run);",
        "    await runs.remove(run);",
      ],
    ],
  },
  {
    what: "an entry whose record never came stays",
    isHardToFind: true,
    file: "worker/scheduler.ts",
    lines: [['        await act.act(name, { kind: "forget", run: runId, lacks: "record" });\n', ""]],
  },
  {
    what: "a record stays that says of a run which no lane knows that it lives",
    isHardToFind: true,
    file: "worker/sweep.ts",
    lines: [['    await attempt("look after records of runs that live no more", lookAfterSome);\n', ""]],
  },
  {
    what: "nobody looks for servers that have left no document",
    isHardToFind: true,
    file: "wiring/upkeep.ts",
    lines: [['      "look for forgotten servers": takeOver.findForgotten,\n', ""]],
  },
  {
    what: "the time is this machine's",
    isHardToFind: true,
    file: "worker/lease-clock.ts",
    lines: [["      offsetMs = databaseTime.getTime() - monotonicMs();\n", "      void databaseTime;\n"]],
  },
  {
    what: "a run that is not over is read from its record",
    file: "domain/run/find-run.ts",
    lines: [['    if (!run || run.phase === "over") return run;\n', "    if (!run || run.changes >= 0) return run;\n"]],
  },
  {
    what: "a run that has come and gone is stored once more",
    file: "domain/run/store-run.ts",
    lines: [
      ["    if ((await runs.tombstones([run])).length === 0) return true;\n", "    if (run.runId) return true;\n"],
    ],
  },
  {
    what: "what is younger than two leases is swept as left behind",
    file: "worker/sweep.ts",
    lines: [["runs.unentered(ago(2), limit, after)", "runs.unentered(ago(0), limit, after)"]],
  },
  {
    what: "a new life does not store what is watched",
    isHardToFind: true,
    file: "wiring/api.ts",
    lines: [["  runs.onNewLife(watchers.storeAnew);\n", ""]],
  },
  {
    what: "a new life does not store who waits for temporary threads",
    isHardToFind: true,
    file: "wiring/worker.ts",
    lines: [["  signals.newLife.on(temporaryThreads.renew);\n", ""]],
  },
];
