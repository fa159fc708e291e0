import { describe, expect, it } from "vitest";
import { reduce } from "../../src/domain/thread/lane.ts";
import type { ServerRule } from "./lane-decide.ts";
import { mutated } from "./lane-mutants.ts";
import { anyOf, delayed, type Extent, enqueued, explore } from "./lane-search.ts";

/** What a wrong reducer, or a server that breaks a rule, lets happen. The search must find it, or it proves nothing. */
const one = { creations: [enqueued] };
const two = { creations: [enqueued, enqueued] };
const stuck = /^from here the runs can never be over/;
const forbidden = /^run r\d is \w+, which forbids/;

type Bug = readonly [what: string, file: string, code: string, instead: string, extent: Extent, found: RegExp];

const bugs: readonly Bug[] = [
  // Whose turn it is.
  [
    "claims whatever waits",
    "thread/attempts.ts",
    "claimable(control) === entry",
    'entry.phase === "waiting"',
    two,
    /law 7/,
  ],
  [
    "claims beside a holder",
    "thread/attempts.ts",
    "if (lane.holder || lane.hold || removing)",
    "if (lane.hold || removing)",
    { ...one, holds: ["edit"] },
    /law 7/,
  ],
  [
    "a delayed run has the turn",
    "thread/entry.ts",
    "!isEnded(entry) && !isDelayed(entry)",
    "!isEnded(entry)",
    { creations: [delayed] },
    /law 7|stands|head/,
  ],
  [
    "the turn passes before the end of a rollback",
    "thread/entry.ts",
    "!isEnded(entry) && !isDelayed(entry)",
    '!isEnded(entry) && entry.phase !== "rolling_back" && !isDelayed(entry)',
    { ...two, cancels: 1 },
    /law 7|head/,
  ],
  [
    "delays end and nobody joins",
    "thread/lane.ts",
    "const joined = joinDue(before, now);",
    "const joined = before;",
    { creations: [delayed] },
    stuck,
  ],
  [
    "who joins keeps its number",
    "thread/enter.ts",
    "n: control.lane.n + 1 + i",
    "n: entry.n",
    { creations: [delayed, enqueued] },
    /law 7: the order/,
  ],
  [
    "who joins goes first",
    "thread/enter.ts",
    "[...others, ...joined]",
    "[...joined, ...others]",
    { creations: [enqueued, delayed] },
    /law 7/,
  ],
  // Coming.
  [
    "REJECT is let in",
    "thread/enter.ts",
    'strategy === "reject" &&',
    'strategy === "reject" && run === "" &&',
    { creations: [enqueued, anyOf("reject")] },
    /section 6/,
  ],
  [
    "INTERRUPT cancels nobody",
    "thread/enter.ts",
    'strategy === "interrupt" ||',
    "",
    { creations: [enqueued, anyOf("interrupt")] },
    /section 6/,
  ],
  [
    "ROLLBACK cancels nobody",
    "thread/enter.ts",
    '|| strategy === "rollback"',
    "",
    { creations: [enqueued, anyOf("rollback")] },
    /section 6/,
  ],
  [
    "ROLLBACK interrupts",
    "thread/enter.ts",
    "supersedes(command, strategy)",
    'supersedes(command, "interrupt")',
    { creations: [enqueued, anyOf("rollback")] },
    /section 6/,
  ],
  [
    "a thread that goes takes runs",
    "thread/enter.ts",
    "if (control.removing)",
    'if (run === "")',
    { ...two, removals: 1 },
    /law 12|law 8/,
  ],
  [
    "forgetting leaves the revision",
    "thread/enter.ts",
    "control: { ...control }",
    "control",
    { ...one, crashes: 1, lateDecisions: 1 },
    /law 4/,
  ],
  // Cancels.
  [
    "an interrupt weakens a rollback",
    "thread/cancel.ts",
    "strength[stored] >= strength[action]",
    "stored === action",
    { ...one, cancels: 2 },
    /law 4/,
  ],
  [
    "a rollback does not take the place of an interrupt",
    "thread/cancel.ts",
    "strength[stored] >= strength[action]",
    "strength[stored] > 0",
    { ...one, cancels: 2 },
    /law 2/,
  ],
  [
    "what is over is cancelled again",
    "thread/cancel.ts",
    "if (isEnded(entry)) {",
    "if (false) {",
    { ...one, cancels: 1 },
    forbidden,
  ],
  [
    "a waiting run is told to stop",
    "thread/cancel.ts",
    'if (entry.phase !== "waiting")',
    'if (entry.phase !== "over")',
    { ...two, cancels: 1 },
    forbidden,
  ],
  [
    "what has executed is not rolled back",
    "thread/cancel.ts",
    'wish.action === "rollback" && hasStarted',
    'wish.action === "none" && hasStarted',
    { ...one, cancels: 1, displacements: 1 },
    /law 6/,
  ],
  [
    "what was unreachable is called stopped",
    "thread/cancel.ts",
    "entry.unreachable",
    "entry.alone",
    { ...one, cancels: 1, sleeps: 1 },
    /law 1/,
  ],
  // Ends.
  [
    "a success beats a cancel",
    "thread/attempts.ts",
    "return { control, answer: { did: isEndOf(entry, token), entry } };\n  if (entry.cancel) return endAsCancelled(control, entry, command, now);\n  return result",
    "return { control, answer: { did: isEndOf(entry, token), entry } };\n  return result",
    { ...one, cancels: 1 },
    forbidden,
  ],
  [
    "a cancelled run is handed back",
    "thread/attempts.ts",
    "if (entry.cancel) return endAsCancelled(control, entry, command, now);\n  if (!command.lost)",
    "if (!command.lost)",
    { ...one, cancels: 1, displacements: 1 },
    forbidden,
  ],
  [
    "whoever settles has the lease",
    "thread/attempts.ts",
    "const { run, token, result, error } = command;\n  const entry = entryOf(control, run);\n  if (entry?.lease?.token !== token)",
    "const { run, token, result, error } = command;\n  const entry = entryOf(control, run);\n  if (!entry?.lease)",
    { ...one, sleeps: 1 },
    forbidden,
  ],
  [
    "a rollback ends as an interrupt",
    "thread/attempts.ts",
    'entry.cancel!.action === "rollback"',
    "entry.cancel!.at < 0",
    { ...one, cancels: 1 },
    /law 6/,
  ],
  [
    "losses are not counted",
    "thread/attempts.ts",
    "{ ...entry, lost }",
    "{ ...entry }",
    { ...one, losses: 3 },
    /law 10/,
  ],
  [
    "one attempt too many",
    "thread/attempts.ts",
    "lost >= maxLostAttempts",
    "lost > maxLostAttempts",
    { ...one, losses: 3 },
    /law 10/,
  ],
  ["an end is owed by nobody", "thread/attempts.ts", "owed: { server, since: now },", "", one, /law 8/],
  [
    "a rolled back run is what the thread returns to",
    "thread/compute.ts",
    '&& entry.cancel?.action !== "rollback"',
    "",
    { ...one, cancels: 1 },
    /law 6/,
  ],
  ["changes are not counted", "thread/compute.ts", "changes: (was?.changes ?? 0) + 1", "changes: 1", one, /law 4/],
  [
    "a delayed run leaves its thread idle",
    "thread/compute.ts",
    'if (liveEntries(lane).length > 0) return "busy";',
    'if (firstInTurn(lane)) return "busy";',
    { creations: [delayed] },
    /law 8|status/,
  ],
  // Take-over.
  [
    "the first token is not fenced",
    "thread/take-over.ts",
    "[...(lease!.tokensToFence ?? []), lease!.token]",
    "[lease!.token]",
    { ...one, cancels: 1, sleeps: 1, crashes: 1, isCoarse: true },
    /law 6/,
  ],
  [
    "the last token is not fenced",
    "thread/take-over.ts",
    "[...(lease!.tokensToFence ?? []), lease!.token]",
    "[...(lease!.tokensToFence ?? [])]",
    { ...one, cancels: 1, sleeps: 1 },
    /law 6/,
  ],
  [
    "what cannot be reached is called killed",
    "thread/take-over.ts",
    "reachable ? unreachable : true",
    "unreachable",
    { ...one, cancels: 1, sleeps: 1 },
    /law 1/,
  ],
  [
    "a hold that removes is dropped",
    "thread/take-over.ts",
    'holder.kind === "copy"',
    'holder.kind !== "edit"',
    { creations: [], holds: ["delete"], crashes: 1 },
    /law 6/,
  ],
  [
    "an edit is dropped",
    "thread/take-over.ts",
    'holder.kind === "copy"',
    'holder.kind !== "delete"',
    { creations: [], holds: ["edit"], sleeps: 1 },
    /law 7/,
  ],
  [
    "the tokens of holds before it are forgotten",
    "thread/take-over.ts",
    "[...(holder.tokensToFence ?? []), holder.id]",
    "[holder.id]",
    { creations: [], holds: ["edit"], sleeps: 1, crashes: 1 },
    /law 7/,
  ],
  [
    "a lease is not taken over",
    "thread/take-over.ts",
    "lease?.server === dead",
    'lease?.server === ""',
    { ...one, crashes: 1 },
    stuck,
  ],
  // Holders.
  [
    "a hold beside a run",
    "thread/hold.ts",
    "lane.holder || liveEntries(lane).length > 0",
    "lane.holder",
    { ...one, holds: ["edit"] },
    /law 7/,
  ],
  [
    "a hold beside a hold",
    "thread/hold.ts",
    "lane.holder || liveEntries(lane).length > 0",
    "liveEntries(lane).length > 0",
    { creations: [], holds: ["delete", "edit"] },
    /law/,
  ],
  [
    "anybody releases a hold",
    "thread/hold.ts",
    "control.lane.holder?.id !== id",
    "!control.lane.holder",
    { creations: [], holds: ["edit", "delete"], sleeps: 1 },
    /law 6/,
  ],
  // The table.
  [
    "a claim of what executes is allowed",
    "transitions.ts",
    'claim: { from: ["waiting"]',
    'claim: { from: ["waiting", "running"]',
    one,
    /law 7|head|from here/,
  ],
  [
    "a claim leaves the run waiting",
    "transitions.ts",
    'to: "running", status: ["running"]',
    'to: "waiting", status: ["running"]',
    one,
    /law 10/,
  ],
  [
    "an interrupt keeps the run stopping",
    "transitions.ts",
    'settleInterrupt: { from: ["stopping"], to: "over"',
    'settleInterrupt: { from: ["stopping"], to: "stopping"',
    { ...one, cancels: 1 },
    /law/,
  ],
  [
    "a rollback needs no end",
    "transitions.ts",
    'to: "rolling_back", status: [], cancel: "present"',
    'to: "over", status: ["interrupted"], cancel: "present"',
    { ...one, cancels: 1 },
    /law 6/,
  ],
];

describe("a reducer with a bug is found out", { timeout: 300_000 }, () => {
  it.each(bugs)("%s", async (_, file, code, instead, extent, found) => {
    const wrong = await mutated({ file, code, instead });
    expect(explore(extent, { reduce: wrong }).trace?.at(-1)).toMatch(found);
  });
});

describe("what servers do beside the reducer is needed", { timeout: 300_000 }, () => {
  it.each<[ServerRule, Extent, RegExp]>([
    ["fence before hand-back", { ...one, cancels: 1, sleeps: 1 }, /law 6/],
    ["fence of holds", { creations: [], holds: ["edit"], sleeps: 1 }, /law 7/],
    ["complete deletions", { creations: [], holds: ["delete"], crashes: 1 }, /law 6/],
    ["forget before a record goes", { ...one, crashes: 1, lateDecisions: 1 }, /law 4/],
    ["record again after a sleep", { ...one, sleeps: 1 }, /law 4/],
    ["remove by nonce", { ...one, sleeps: 1 }, /law 4/],
    ["remove what says nothing", { ...one, crashes: 1, lateDecisions: 1, cancels: 1 }, /law/],
    ["data before the end of a rollback", { ...one, cancels: 1 }, /law 6/],
    ["tombstone before the removal", { ...one, cancels: 1 }, /law 4/],
    ["tell before leaving", one, /law 4/],
    ["projection by count", { ...one, projects: true, displacements: 1 }, /law 3/],
    ["projection without upsert", { ...one, projects: true, cancels: 1 }, /law 6/],
    ["guard by revision", { ...two, crashes: 1, lateDecisions: 1 }, /law/],
    ["heartbeat compares", { ...one, lostAnswers: 1 }, stuck],
  ])("without: %s", (rule, extent, found) => {
    expect(explore(extent, { reduce, without: new Set([rule]) }).trace?.at(-1)).toMatch(found);
  });
});
