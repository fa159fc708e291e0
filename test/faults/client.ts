import { setTimeout as sleep } from "node:timers/promises";
import { cancelRun, cancelRuns } from "./cancelling.ts";
import { type Caller, createAndWait, createBatch, createRun, join } from "./creating.ts";
import { isOver } from "./evidence.ts";
import { createAndRead, type Reading, readAndLeave, readToTheEnd } from "./readers.ts";
import { deleteThread, edit, look, newThread } from "./thread-calls.ts";
import { drawGraph, drawOrder, type Order, pick } from "./works.ts";

export interface ClientOptions {
  readonly caller: Caller;
  readonly random: () => number;
  /** Between two deeds, on average. */
  readonly paceMs: number;
  /** Lets something go on while the client does other things. */
  readonly meanwhile: (name: string, what: Promise<unknown>) => void;
  readonly isIdling: () => boolean;
}

interface Name {
  readonly threadId: string;
  readonly runId: string;
}

/** More than this many live runs on a thread would only wait for each other. */
const mostLive = 5;
/** How many of a thread's runs are still of interest. */
const recent = 6;

/** One client, on one thread at a time: creates runs, waits for them, reads, cancels and edits, until it is to rest. */
export async function work({ caller, random, paceMs, meanwhile, isIdling }: ClientOptions): Promise<void> {
  const { witness, anyServer, giveUp } = caller;
  let thread = await newThread(caller);
  let graph = drawGraph(random);
  /** Those that the client was told of, and what it wanted on this thread. */
  let runs: Name[] = [];
  let orders: Order[] = [];

  const isLive = ({ runId }: Name) => !witness.told.some(({ run, status }) => run === runId && isOver(status));
  const anyOf = (names: readonly Name[]): Name | undefined =>
    pick(random(), [...names.slice(-recent).map((name) => [isLive(name) ? 5 : 1, name] as const), [0.01, undefined]]);
  const anyAction = () => (random() < 0.5 ? "interrupt" : "rollback");
  const leavesAfter = () => (random() < 0.5 ? 1 + Math.floor(8 * random()) : undefined);
  const reading = ({ threadId, runId }: Name): Reading => ({
    thread: threadId,
    run: runId,
    pick: anyServer,
    leavesAfter,
  });

  function order(): Order {
    const drawn = drawOrder(random, thread, graph);
    orders.push(drawn);
    return drawn;
  }
  const keep = (run: Name | undefined) => {
    if (run?.threadId === thread) runs.push(run);
  };
  /** Also those whose create has no answer yet, if the client knows their id. */
  const wanted = (): Name[] =>
    orders
      .filter(({ work }) => work.outcome === "open" || work.outcome === "created")
      .map(({ work, request }) => ({ threadId: thread, runId: work.answers[0] ?? request.runId }))
      .filter(({ runId }) => runId !== "");
  const isCrowded = () =>
    orders.filter(({ work: { outcome, answers } }) =>
      outcome === "created" ? isLive({ threadId: thread, runId: answers[0]! }) : outcome === "open",
    ).length >= mostLive;

  async function createSome(): Promise<void> {
    const batch = Array.from({ length: 2 + Math.floor(2 * random()) }, () => drawOrder(random, "", "load"));
    for (const run of (await createBatch(caller, batch)) ?? []) meanwhile("JoinRun of a batch", join(caller, run));
  }
  async function startAnew(): Promise<void> {
    await deleteThread(caller, thread);
    thread = await newThread(caller);
    graph = drawGraph(random);
    runs = [];
    orders = [];
  }
  async function cancelOne(): Promise<void> {
    const run = anyOf(wanted());
    if (run) await cancelRun(caller, run.threadId, run.runId, anyAction(), random() < 0.5);
  }
  function cancelSome(): Promise<void> {
    const last = wanted().slice(-3);
    return cancelRuns(caller, thread, random() < 0.5 ? [] : last.map(({ runId }) => runId), anyAction());
  }
  const withAny = (name: string, what: (run: Name) => Promise<unknown>) => () => {
    const run = anyOf(runs);
    if (run) meanwhile(name, what(run));
  };

  const creates: readonly (readonly [number, () => unknown])[] = [
    [7, async () => keep(await createRun(caller, order()))],
    [3, () => meanwhile("WaitRun", createAndWait(caller, order()).then(keep))],
    [2, () => meanwhile("StreamRun", createAndRead(caller, order(), { pick: anyServer, leavesAfter }).then(keep))],
  ];
  const others: readonly (readonly [number, () => unknown])[] = [
    [1, createSome],
    [4, withAny("JoinRunStream", (run) => readToTheEnd(witness, reading(run), giveUp))],
    [3, withAny("JoinRun", (run) => join(caller, run))],
    [1, withAny("leaving", (run) => readAndLeave(witness, { ...reading(run), leavesAfter: () => 2 }, giveUp))],
    [3, cancelOne],
    [1, cancelSome],
    [3, () => look(caller, thread)],
    [1, () => edit(caller, thread, graph)],
    [0.4, startAnew],
  ];

  while (!isIdling()) {
    await sleep(2 * paceMs * random());
    await pick(random(), isCrowded() ? others : [...creates, ...others])();
  }
}
