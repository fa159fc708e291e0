import { create } from "@bufbuild/protobuf";
import { PayloadFormat } from "../../../gen/reins/v1/payload_pb.ts";
import { CancelAction, type Run } from "../../../gen/reins/v1/run_pb.ts";
import * as pb from "../../../gen/reins/v1/run_service_pb.ts";
import * as threads from "../../../gen/reins/v1/thread_service_pb.ts";
import type { Facts, RunFacts } from "../laws/facts.ts";
import type { ToldLaws } from "../laws/told-laws.ts";
import { anyDisconnect, createRun } from "./create-wishes.ts";
import type { Known } from "./known.ts";
import type { Persist } from "./persist.ts";

export interface WishParts {
  readonly random: () => number;
  readonly persist: Persist;
  readonly known: Known;
  readonly laws: ToldLaws;
  readonly facts: Facts;
  readonly elapsed: () => number;
}

type Wish = (parts: WishParts) => Promise<unknown>;

async function cancelRun({ random, persist, known, laws }: WishParts): Promise<void> {
  const name = known.run();
  if (!name) return;
  const isRollback = random() < 0.4;
  const request = create(pb.CancelRunRequestSchema, {
    threadId: name.threadId,
    runId: name.runId,
    wait: random() < 0.5,
    reason: "a client's",
    action: isRollback ? CancelAction.ROLLBACK : CancelAction.INTERRUPT,
  });
  await persist(
    "cancel",
    async (api, context) => {
      const promised = laws.asksToCancel();
      const { run } = await api.runs.cancelRun(request, context);
      if (request.wait) laws.waited(run as Run);
      else laws.run(run as Run);
      if (run) promised(name.runId, isRollback ? "rollback" : "interrupt");
    },
    { tries: 4, patienceMs: 6_000 },
  );
}

async function cancelThread({ random, persist, known, laws }: WishParts): Promise<void> {
  const request = create(pb.CancelRunsRequestSchema, {
    target: {
      case: "filter",
      value: { threadId: known.thread(), status: random() < 0.5 ? pb.LiveRunStatus.ALL : pb.LiveRunStatus.PENDING },
    },
    action: random() < 0.4 ? CancelAction.ROLLBACK : CancelAction.INTERRUPT,
    wait: random() < 0.5,
  });
  await persist(
    "cancel all",
    async (api, context) => {
      const promised = laws.asksToCancel();
      const { results } = await api.runs.cancelRuns(request, context);
      for (const { runId, outcome } of results!) {
        if (outcome !== undefined && isStopped.has(outcome))
          promised(runId!, request.action === CancelAction.ROLLBACK ? "rollback" : "interrupt");
      }
    },
    { tries: 3, patienceMs: 6_000 },
  );
}

/** Somebody makes sure that a run is stopped. */
export async function cancelUntilStored({ persist, laws }: WishParts, run: RunFacts): Promise<void> {
  const { threadId, runId } = run;
  const request = create(pb.CancelRunRequestSchema, { threadId, runId, reason: "it never ends" });
  await persist(
    "cancel what never ends",
    async (api, context) => {
      const promised = laws.asksToCancel();
      await api.runs.cancelRun(request, context);
      promised(runId, "interrupt");
    },
    { tries: 5 },
  );
}

const isStopped: ReadonlySet<number> = new Set([1, 2, 3, 4, 5]);

async function joinRun({ random, persist, known, laws }: WishParts): Promise<void> {
  const name = known.run();
  if (!name) return;
  const { threadId, runId } = name;
  const request = create(pb.JoinRunRequestSchema, { threadId, runId, onDisconnect: anyDisconnect(random) });
  const patienceMs = random() < 0.3 ? random() * 500 : 60_000;
  await persist(
    "join",
    async (api, context) => {
      const { run } = await api.runs.joinRun(request, context);
      laws.waited(run as Run);
    },
    { tries: 8, patienceMs },
  );
}

async function readEvents({ random, persist, known, laws }: WishParts): Promise<void> {
  const name = known.run();
  if (!name) return;
  const { threadId, runId } = name;
  let last = 0;
  let tries = 0;
  await persist(
    "tail",
    async (api, context) => {
      tries += 1;
      const own = tries;
      let seen = last;
      const request = create(pb.JoinRunStreamRequestSchema, {
        threadId,
        runId,
        afterSequence: BigInt(last),
        onDisconnect: anyDisconnect(random),
        payloadFormat: PayloadFormat.JSON,
      });
      let isOver = false;
      for await (const { events = [] } of api.runs.joinRunStream(request, context)) {
        const batch = events as pb.JoinRunStreamResponse["events"];
        seen = laws.events(runId, seen, batch);
        // A server may go on with a call whose client has left long ago.
        if (own === tries) last = seen;
        isOver ||= batch.some(({ event }) => event.case === "ended");
      }
      if (!isOver) throw new Error("a stream ended without its terminal event");
    },
    { tries: 8, patienceMs: random() < 0.3 ? random() * 500 : 60_000 },
  );
}

async function getRun({ persist, known, laws }: WishParts): Promise<void> {
  const name = known.run();
  if (!name) return;
  const request = create(pb.GetRunRequestSchema, { threadId: name.threadId, runId: name.runId });
  await persist("get", async (api, context) => laws.run((await api.runs.getRun(request, context)).run as Run), {
    tries: 2,
  });
}

async function deleteRun({ persist, known, facts }: WishParts): Promise<void> {
  const name = known.run();
  if (!name) return;
  facts.of(name.runId).mayBeDeleted = true;
  const request = create(pb.DeleteRunRequestSchema, { threadId: name.threadId, runId: name.runId });
  await persist("delete run", async (api, context) => api.runs.deleteRun(request, context), {
    tries: 3,
    patienceMs: 8_000,
  });
}

async function deleteThread({ persist, known, facts }: WishParts): Promise<void> {
  const threadId = known.thread();
  facts.threadMayGo(threadId);
  const request = create(threads.DeleteThreadRequestSchema, { threadId });
  await persist("delete thread", async (api, context) => api.threads.deleteThread(request, context), {
    tries: 3,
    patienceMs: 8_000,
  });
}

async function editState({ persist, known, elapsed }: WishParts): Promise<void> {
  const request = create(threads.UpdateThreadStateRequestSchema, {
    threadId: known.thread(),
    assistantId: "graph",
    values: {
      encoding: { case: "json", value: new TextEncoder().encode(JSON.stringify(`edit at ${elapsed().toFixed(1)}`)) },
    },
  });
  await persist("edit", async (api, context) => api.threads.updateThreadState(request, context), {
    tries: 1,
    patienceMs: 8_000,
  });
}

async function copyThread({ persist, known }: WishParts): Promise<void> {
  const request = create(threads.CopyThreadRequestSchema, { threadId: known.thread() });
  await persist("copy", async (api, context) => api.threads.copyThread(request, context), {
    tries: 1,
    patienceMs: 8_000,
  });
}

async function pruneThread({ persist, known }: WishParts): Promise<void> {
  const request = create(threads.PruneThreadsRequestSchema, {
    threadIds: [known.thread()],
    strategy: threads.PruneStrategy.KEEP_LATEST,
  });
  await persist("prune", async (api, context) => api.threads.pruneThreads(request, context), {
    tries: 1,
    patienceMs: 8_000,
  });
}

async function updateThread({ random, persist, known }: WishParts): Promise<void> {
  const request = create(threads.UpdateThreadRequestSchema, { threadId: known.thread(), metadata: { n: random() } });
  await persist("update thread", async (api, context) => api.threads.updateThread(request, context), { tries: 2 });
}

/** How often which of them is wished. */
const wishes: readonly (readonly [weight: number, wish: Wish])[] = [
  [44, createRun],
  [14, cancelRun],
  [5, cancelThread],
  [8, joinRun],
  [9, readEvents],
  [4, getRun],
  [4, deleteRun],
  [1, deleteThread],
  [4, editState],
  [2, copyThread],
  [2, pruneThread],
  [2, updateThread],
];
const total = wishes.reduce((sum, [weight]) => sum + weight, 0);

/** Something that a client wants. Resolves when it has got it, or has given up. */
export function wishSomething(parts: WishParts): Promise<unknown> {
  let place = parts.random() * total;
  for (const [weight, wish] of wishes) {
    place -= weight;
    if (place < 0) return wish(parts);
  }
  return Promise.resolve();
}
