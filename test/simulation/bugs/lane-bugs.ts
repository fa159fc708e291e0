import type { Bug } from "./bugs.ts";

/** In what decides about a thread. */
export const laneBugs: readonly Bug[] = [
  {
    what: "claims whatever waits",
    file: "domain/thread/attempts.ts",
    lines: [
      ["claimable(control) === entry", 'entry.phase === "waiting"'],
      [
        "  const entry = claimable(control);\n",
        '  const entry = control.lane.entries.find((one) => one.phase === "waiting" && !one.due);\n',
      ],
    ],
  },
  {
    what: "claims beside a holder",
    file: "domain/thread/attempts.ts",
    lines: [["if (lane.holder || lane.hold || removing)", "if (lane.hold || removing)"]],
  },
  {
    what: "the turn passes before the end of a rollback",
    file: "domain/thread/entry.ts",
    lines: [
      [
        "!isEnded(entry) && !isDelayed(entry)",
        '!isEnded(entry) && entry.phase !== "rolling_back" && !isDelayed(entry)',
      ],
    ],
  },
  {
    what: "settles under whatever lease there is",
    isHardToFind: true,
    file: "domain/thread/attempts.ts",
    lines: [
      [
        "  const { run, token, result, error } = command;\n  const entry = entryOf(control, run);\n",
        "  const { run, token, result, error } = command;\n  const entry = entryOf(control, run);\n  if (entry?.lease && entry.lease.token !== token) return settle(control, { ...command, token: entry.lease.token }, now);\n",
      ],
    ],
  },
  {
    what: "hands back under whatever lease there is",
    file: "domain/thread/attempts.ts",
    lines: [
      [
        "  const { run, token } = command;\n  const entry = entryOf(control, run);\n",
        "  const { run, token } = command;\n  const entry = entryOf(control, run);\n  if (entry?.lease && entry.lease.token !== token) return handBack(control, { ...command, token: entry.lease.token }, now);\n",
      ],
    ],
  },
  {
    what: "a run that completes while its cancel is stored has succeeded",
    file: "domain/thread/attempts.ts",
    lines: [
      [
        "  if (entry.cancel) return endAsCancelled(control, entry, command, now);\n  return result ===",
        '  if (entry.cancel && result === "stopped") return endAsCancelled(control, entry, command, now);\n  return result ===',
      ],
    ],
  },
  {
    what: "a lost execution does not count",
    file: "domain/thread/attempts.ts",
    lines: [["const lost = (entry.lost ?? 0) + 1;", "const lost = entry.lost ?? 0;"]],
  },
  {
    what: "what cannot be reached is called killed",
    file: "domain/thread/attempts.ts",
    lines: [['  if (unreachable) return "fenced";\n', ""]],
  },
  {
    what: "REJECT is looked at before the decision only",
    file: "domain/thread/enter.ts",
    lines: [['if (strategy === "reject" &&', 'if (server === "" && strategy === "reject" &&']],
  },
  {
    what: "INTERRUPT leaves one run alone",
    file: "domain/thread/enter.ts",
    lines: [["live.map((entry) => entry.run),", "live.slice(1).map((entry) => entry.run),"]],
  },
  {
    what: "a repeated entry comes twice",
    file: "domain/thread/enter.ts",
    lines: [['  if (there) return { control, answer: { did: "again", entry: there } };\n', ""]],
  },
  {
    what: "a stateless run that has come and gone comes again",
    isHardToFind: true,
    file: "domain/thread/enter.ts",
    lines: [["if (command.once && control.lane.n > 0)", "if (command.once && control.lane.n < 0)"]],
  },
  {
    what: "a confirmed entry is forgotten",
    isHardToFind: true,
    file: "domain/thread/enter.ts",
    lines: [[" && !entry.confirmed", ""]],
  },
  {
    what: "delays end and nobody joins",
    file: "domain/thread/lane.ts",
    lines: [["const joined = joinDue(before, now);", "const joined = before;"]],
  },
  {
    what: "INTERRUPT weakens a ROLLBACK",
    file: "domain/thread/cancel.ts",
    lines: [["strength[stored] >= strength[action];", "stored === action;"]],
  },
  {
    what: "a thread is held while a run is live",
    file: "domain/thread/hold.ts",
    lines: [["if (lane.holder || liveEntries(lane).length > 0)", "if (lane.holder || liveEntries(lane).length > 99)"]],
  },
  {
    what: "a dead server's hold stays",
    file: "domain/thread/take-over.ts",
    lines: [["if (holder?.server !== dead) return control;", "if (holder?.server !== dead || holder) return control;"]],
  },
  {
    what: "a take-over names no tokens to fence",
    file: "domain/thread/take-over.ts",
    lines: [["[...(lease!.tokensToFence ?? []), lease!.token]", "[]"]],
  },
  {
    what: "believes the present revision instead of the mark",
    isHardToFind: true,
    file: "domain/thread/marks.ts",
    lines: [['  if (own?.rev === tried) return "landed";', '  if (stored.rev === tried) return "landed";']],
  },
  {
    what: "never asks whether a write has landed",
    file: "domain/thread/decide.ts",
    lines: [['      if (fate === "landed") return { hasLanded: true };\n', ""]],
  },
  {
    what: "a write without an answer is taken for landed",
    file: "domain/thread/decide.ts",
    lines: [["        failure = { error };\n", "        failure = { error };\n        return { hasLanded: true };\n"]],
  },
  {
    what: "one server decides twice about a thread at a time",
    file: "domain/thread/decide.ts",
    lines: [["    if (line) line.push(asked);\n    else void decide", "    void line;\n    void decide"]],
  },
  {
    what: "a decision that a dead life has queued is made",
    isHardToFind: true,
    file: "domain/thread/decide.ts",
    lines: [
      ["command.server === life.id && !life.ended.aborted;", "command.server !== undefined;"],
      ["      if (life.ended.aborted) throw new LifeIsOver(server);\n", ""],
    ],
  },
  {
    what: "what was found in a thread counts for the next one with its id",
    isHardToFind: true,
    file: "domain/thread/decide.ts",
    lines: [["one.journal === undefined || one.journal === journal;", "one !== undefined || journal !== undefined;"]],
  },
  {
    what: "a repeated claim is a miss",
    isHardToFind: true,
    file: "domain/thread/attempts.ts",
    lines: [
      [
        "  if (entry && (entry.lease?.token === token || entry.end?.token === token)) {\n",
        '  if (entry && token === "") {\n',
      ],
    ],
  },
  {
    what: "a repeated outcome is a miss",
    isHardToFind: true,
    file: "domain/thread/attempts.ts",
    lines: [
      ['(entry?.end?.token === token ? "again" : "missed");', '(entry?.end?.token === token ? "missed" : "missed");'],
    ],
  },
  {
    what: "a repeated hold is refused",
    isHardToFind: true,
    file: "domain/thread/hold.ts",
    lines: [['  if (lane.holder?.id === id) return { control, answer: { did: "again" } };\n', ""]],
  },
  {
    what: "claims on a thread that is being removed",
    isHardToFind: true,
    file: "domain/thread/attempts.ts",
    lines: [
      [
        "  if (lane.holder || lane.hold || removing) return undefined;\n",
        "  void removing;\n  if (lane.holder || lane.hold) return undefined;\n",
      ],
    ],
  },
  {
    what: "an entry that was claimed before is forgotten",
    isHardToFind: true,
    file: "domain/thread/enter.ts",
    lines: [['entry.phase === "waiting" && entry.attempt === undefined && ', 'entry.phase === "waiting" && ']],
  },
  {
    what: "a deletion that was under way in a dead server is dropped",
    isHardToFind: true,
    file: "domain/thread/take-over.ts",
    lines: [['  if (holder.kind === "copy") return', '  if (holder.kind !== "edit") return']],
  },
];
