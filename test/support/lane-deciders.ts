import { keepTrying } from "../../src/domain/keep-trying.ts";
import type { Lanes, StoredThread } from "../../src/domain/ports.ts";
import type { Command } from "../../src/domain/thread/commands.ts";
import { createDecide, type Decide, type Decision } from "../../src/domain/thread/decide.ts";
import { firstInTurn } from "../../src/domain/thread/entry.ts";
import { AnswerLost, type AppliedWrite, lossyLanes } from "./lossy-lanes.ts";
import { seededRandom } from "./seeded-random.ts";

export interface CrowdOptions {
  readonly seed: number;
  readonly servers: number;
  readonly threads: number;
  /** Each server decides about each thread in two loops at once, so many times in each. */
  readonly decisions: number;
  readonly delay: (units: number) => Promise<unknown>;
  /** What a server is connected to; a test puts a fault into it. */
  readonly connected?: (lanes: Lanes) => Lanes;
}

export interface Crowd {
  readonly decided: readonly Decided[];
  readonly applied: readonly AppliedWrite[];
  readonly stored: readonly StoredThread[];
}

interface Decided {
  readonly threadId: string;
  readonly command: Command;
  readonly decision: Decision;
}

const never = new AbortController().signal;

/** Several servers decide about the same threads over a bad network, each in several places at once. */
export async function crowdOfDeciders(inner: Lanes, options: CrowdOptions): Promise<Crowd> {
  const { seed, servers, threads, decisions, delay, connected = (lanes) => lanes } = options;
  const random = seededRandom(seed);
  const network = lossyLanes(inner, { random, delay, share: 0.4 });
  const behind = connected(network.lanes);
  // Reads that are lost are the callers' to repeat; what is looked at here is what becomes of writes.
  const isTransient = (error: unknown) => error instanceof AnswerLost;
  const lanes: Lanes = {
    ...behind,
    read: (name) => keepTrying(() => behind.read(name), { isTransient, pause: () => delay(2) }),
  };
  const decided: Decided[] = [];
  let time = 0;
  let made = 0;
  const threadIds = Array.from({ length: threads }, (_, n) => `thread-${seed}-${n}`);

  async function decideOften(decide: Decide, server: string, threadId: string): Promise<void> {
    const origin = { owner: "", threadId, journal: `journal-${server}`, createdAt: time };
    let seen: Decision | undefined;
    for (let i = 0; i < decisions; i++) {
      const command = commandFor(seen, server, random, () => `${made++}`);
      seen = await decide({ owner: "", threadId }, command, { born: { origin, kept: { metadata: {} } } });
      decided.push({ threadId, command, decision: seen! });
    }
  }

  const loops = Array.from({ length: servers }, (_, n) => {
    const server = `s${n}`;
    const decide = createDecide({
      lanes,
      self: () => ({ id: server, ended: never }),
      now: () => ++time,
      newRev: () => `rev-${seed}-${made++}`,
      random,
      sleep: delay,
      isTransient,
      pause: () => delay(2),
    });
    return threadIds.flatMap((threadId) => [1, 2].map(() => decideOften(decide, server, threadId)));
  });
  await Promise.all(loops.flat());
  await network.settled();
  const stored = await Promise.all(threadIds.map((threadId) => inner.read({ owner: "", threadId })));
  return { decided, applied: network.applied, stored: stored.map((one) => one!) };
}

/** Of those commands only whose answer is `done` when, and only when, they are written. */
function commandFor(seen: Decision | undefined, server: string, random: () => number, fresh: () => string): Command {
  const name = `${server}-${fresh()}`;
  const next = random() < 0.5 ? `token-${name}` : undefined;
  const strategies = ["enqueue", "enqueue", "enqueue", "reject", "interrupt", "rollback"] as const;
  const strategy = strategies[Math.floor(random() * strategies.length)]!;
  const enter: Command = { kind: "enter", server, run: `run-${name}`, strategy, next };
  if (!seen || "refusal" in seen || random() < 0.3) return enter;
  const { entries } = seen.control.lane;
  const wish = { action: random() < 0.5 ? "interrupt" : "rollback", reason: "", by: "client" } as const;
  const first = firstInTurn(seen.control.lane);
  const rolling = entries.find(({ phase }) => phase === "rolling_back");
  const ended = entries.find(({ phase }) => phase === "over");
  const state = { graph: "graph", next: [], interrupts: [] };
  const choices: Command[] = [
    { kind: "forget", server, run: `unknown-${name}`, lacks: "entry" },
    { kind: "requestCancel", server, runs: "live", wish },
  ];
  if (first?.lease) {
    const end = { run: first.run, token: first.lease.token, sequence: 1 };
    const settle: Command = { kind: "settle", server, ...end, result: "success", state, next };
    choices.push(settle, settle, { kind: "handBack", server, ...end });
  } else if (first) choices.push({ kind: "claim", server, run: first.run, token: `token-${name}` });
  if (rolling) choices.push({ kind: "finishRollback", server, run: rolling.run });
  if (ended) choices.push({ kind: "projected", server, run: ended.run, changes: ended.changes, state });
  return choices[Math.floor(random() * choices.length)]!;
}

/** What shows that a decision was lost, or carried out twice; nothing when each was carried out exactly once. */
export function faultsOf({ decided, applied, stored }: Crowd): string[] {
  const written = decided.flatMap(({ decision }) =>
    "refusal" in decision || decision.answer.did !== "done" ? [] : [decision.control.rev],
  );
  const revs = applied.map(({ rev }) => rev);
  return [
    ...repeated(written).map((rev) => `two decisions were answered with ${rev}`),
    ...without(revs, written).map((rev) => `${rev} was applied, and nobody was told so`),
    ...without(written, revs).map((rev) => `${rev} was answered, and never applied`),
    ...decided.flatMap(faultsOfAnswer),
    ...stored.flatMap((one) => faultsOfThread(one, decided, applied)),
  ];
}

const repeated = (names: readonly string[]) => names.filter((name, n) => names.indexOf(name) !== n);
const without = (names: readonly string[], others: readonly string[]) => names.filter((name) => !others.includes(name));

/** Each run enters once, so that nobody but its own decision can have brought it. */
function faultsOfAnswer({ command, decision }: Decided): string[] {
  const isDone = "refusal" in decision || decision.answer.did === "done";
  return command.kind === "enter" && !isDone ? [`${command.run} had entered before`] : [];
}

/** Its revisions are one chain from its birth to what is stored, and as many runs have come as were told so. */
function faultsOfThread(
  { origin: { threadId }, control }: StoredThread,
  decided: readonly Decided[],
  applied: readonly AppliedWrite[],
): string[] {
  const own = applied.filter((one) => one.threadId === threadId);
  const after = new Map(own.map(({ from, rev }) => [from, rev]));
  let length = 0;
  let rev: string | undefined;
  for (let next = after.get(undefined); next !== undefined && length < own.length; next = after.get(next)) {
    rev = next;
    length++;
  }
  const entered = decided.filter(
    ({ threadId: id, command, decision }) => id === threadId && command.kind === "enter" && !("refusal" in decision),
  ).length;
  const faults: string[] = [];
  if (length !== own.length) faults.push(`${threadId}: ${own.length} writes are a chain of ${length}`);
  if (rev !== control.rev) faults.push(`${threadId}: the chain ends with ${rev}, and ${control.rev} is stored`);
  if (control.lane.n !== entered)
    faults.push(`${threadId}: ${entered} runs entered, and ${control.lane.n} are counted`);
  return faults;
}
