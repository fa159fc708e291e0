import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Run } from "../../gen/reins/v1/run_pb.ts";
import { IfExists } from "../../gen/reins/v1/thread_service_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { cancelRun, cancelRuns } from "./cancelling.ts";
import { type Caller, createAndWait, createBatch, createRun, join, repeat } from "./creating.ts";
import { isOver } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Member } from "./member.ts";
import { createAndRead, readAndLeave, readToTheEnd } from "./readers.ts";
import { isGone, type Witness } from "./witness.ts";
import { drawGraph, drawOrder, type Graph, pick } from "./works.ts";

/** Clients that work on some threads, each on one at a time. */
export interface Clients {
  /** Begin nothing new, but end what they have begun. */
  rest(): Promise<void>;
  /** Resolves when all that they wait for and read is over; to what is not when the time is. */
  settle(limitMs: number): Promise<string[]>;
}

export interface ClientsOptions {
  readonly members: readonly Member[];
  readonly witness: Witness;
  readonly seed: number;
  readonly clients: number;
  /** Between what one client does, on average. */
  readonly paceMs: number;
}

/** More than this many live runs on a thread would only wait for each other. */
const mostLive = 5;

export function startClients({ members, witness, seed, clients, paceMs }: ClientsOptions): Clients {
  const giveUp = new AbortController();
  const underWay = new Map<Promise<unknown>, string>();
  let isResting = false;
  const actors = Array.from({ length: clients }, (_, i) => act(seededRandom(1_000 * seed + i + 1)));

  /** Goes on by itself. */
  function meanwhile(name: string, what: Promise<unknown>): void {
    const done = what.finally(() => underWay.delete(done));
    underWay.set(done, name);
  }

  async function act(random: () => number): Promise<void> {
    const anyServer = () => members[Math.floor(random() * members.length)]!;
    const caller: Caller = { witness, anyServer, giveUp: giveUp.signal };
    let thread = await newThread(caller);
    let graph = drawGraph(random);
    let runs: Run[] = [];
    const isLive = ({ runId }: Run) => !witness.told.some(({ run, status }) => run === runId && isOver(status));
    const anyRun = () => pick(random(), [...runs.slice(-6).map((run) => [isLive(run) ? 5 : 1, run] as const)]);
    const leavesAfter = () => (random() < 0.5 ? 1 + Math.floor(8 * random()) : undefined);
    const keep = (run: Run | undefined) => {
      if (run?.threadId === thread) runs.push(run);
      return run;
    };
    const reading = ({ threadId, runId }: Run) => ({ thread: threadId, run: runId, pick: anyServer, leavesAfter });

    const deeds: readonly (readonly [number, () => Promise<unknown> | undefined])[] = [
      [7, async () => keep(await createRun(caller, drawOrder(random, thread, graph)))],
      [3, () => meanwhile("WaitRun", createAndWait(caller, drawOrder(random, thread, graph)).then(keep)) as undefined],
      [
        2,
        () =>
          meanwhile(
            "StreamRun",
            createAndRead(caller, drawOrder(random, thread, graph), { pick: anyServer, leavesAfter }).then(keep),
          ) as undefined,
      ],
      [1, () => createSome()],
      [
        4,
        () =>
          runs.length > 0
            ? (meanwhile("JoinRunStream", readToTheEnd(witness, reading(anyRun()), giveUp.signal)) as undefined)
            : undefined,
      ],
      [3, () => (runs.length > 0 ? (meanwhile("JoinRun", join(caller, anyRun())) as undefined) : undefined)],
      [
        1,
        () =>
          runs.length > 0
            ? (meanwhile(
                "leaving",
                readAndLeave(witness, { ...reading(anyRun()), leavesAfter: () => 2 }, giveUp.signal),
              ) as undefined)
            : undefined,
      ],
      [3, () => (runs.length > 0 ? cancelRun(caller, thread, anyRun().runId, anyAction(), random() < 0.5) : undefined)],
      [1, () => cancelRuns(caller, thread, random() < 0.5 ? [] : someIds(), anyAction())],
      [3, () => look(caller, thread)],
      [1, () => edit(caller, thread, graph)],
      [0.4, startAnew],
    ];
    const anyAction = () => (random() < 0.5 ? "interrupt" : "rollback");
    const someIds = () => [...new Set(runs.slice(-3).map(({ runId }) => runId))];
    async function createSome(): Promise<void> {
      const orders = Array.from({ length: 2 + Math.floor(2 * random()) }, () => drawOrder(random, "", "load"));
      for (const run of (await createBatch(caller, orders)) ?? []) meanwhile("JoinRun of a batch", join(caller, run));
    }
    async function startAnew(): Promise<void> {
      await deleteThread(caller, thread);
      thread = await newThread(caller);
      graph = drawGraph(random);
      runs = [];
    }

    while (!isResting) {
      await sleep(2 * paceMs * random());
      const creates = runs.filter(isLive).length < mostLive ? deeds : deeds.slice(3);
      await pick(random(), creates)();
    }
  }

  return {
    async rest() {
      isResting = true;
      await Promise.all(actors);
    },
    async settle(limitMs) {
      const limit = new AbortController();
      const tooLate = sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {});
      await Promise.race([Promise.allSettled(underWay.keys()), tooLate]);
      limit.abort();
      const left = [...underWay.values()];
      giveUp.abort();
      return left;
    },
  };
}

async function newThread(caller: Caller): Promise<string> {
  const threadId = randomUUID();
  await repeat(caller, (member) =>
    caller.witness.ask(member, "CreateThread", ({ threads }, options) =>
      threads.createThread({ threadId, ifExists: IfExists.DO_NOTHING }, options),
    ),
  );
  return threadId;
}

async function deleteThread(caller: Caller, thread: string): Promise<void> {
  const { witness } = caller;
  const ask = { by: "delete" as const, thread, action: "rollback" as const, sentAt: machineMs() };
  witness.asked.push({ ...ask, isKept: false });
  const answer = await repeat(caller, (member) =>
    witness.ask(member, "DeleteThread", ({ threads }, options) => threads.deleteThread({ threadId: thread }, options)),
  );
  if (answer === undefined) return;
  witness.asked.push({ ...ask, isKept: true });
  for (const work of witness.works)
    if (work.threadId === thread && work.answeredAt !== undefined && work.answeredAt < ask.sentAt)
      witness.tellGone(answer, "cancel", work.answers[0]!);
}

/** Reads what there is, and remembers what it was told. */
async function look({ witness, anyServer }: Caller, thread: string): Promise<void> {
  const answer = await witness.ask(anyServer(), "ListRuns", ({ runs }, options) =>
    runs.listRuns({ threadId: thread, pageSize: 50 }, options),
  );
  for (const run of answer.value?.runs ?? []) witness.tell(answer, "list", run);
  const [newest] = answer.value?.runs ?? [];
  if (newest === undefined) return;
  const name = { threadId: thread, runId: newest.runId };
  const got = await witness.ask(anyServer(), "GetRun", ({ runs }, options) => runs.getRun(name, options));
  if (got.value) witness.tell(got, "get", got.value.run!);
  if (isGone(got)) witness.tellGone(got, "get", newest.runId);
}

async function edit({ witness, anyServer }: Caller, thread: string, graph: Graph): Promise<void> {
  const entry = `edit-${randomUUID().slice(0, 8)}`;
  const answer = await witness.ask(anyServer(), "UpdateThreadState", ({ threads }, options) =>
    threads.updateThreadState(
      { threadId: thread, values: toPayload({ log: [entry] }), asNode: "joined", assistantId: graph },
      options,
    ),
  );
  const outcome = answer.isUnsure ? "unsure" : answer.refusal === undefined ? "done" : "refused";
  witness.edits.push({ thread, entry, outcome });
}
