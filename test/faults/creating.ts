import { setTimeout as sleep } from "node:timers/promises";
import type { Run } from "../../gen/reins/v1/run_pb.ts";
import type { Member } from "./member.ts";
import { type Answer, isGone, type Witness } from "./witness.ts";
import type { CreateInit, Order } from "./works.ts";

/** A client that knows some servers. */
export interface Caller {
  readonly witness: Witness;
  /** Any of the servers. */
  readonly anyServer: () => Member;
  /** Aborted when nothing is to be repeated any more. */
  readonly giveUp: AbortSignal;
}

const betweenTriesMs = 100;

/** Creates a run, and repeats that with the same request until there is an answer. Undefined when there is no run, for all that is known. */
export function createRun(caller: Caller, order: Order, isRepeat = false): Promise<Run | undefined> {
  const { witness } = caller;
  if (!isRepeat) witness.works.push(order.work);
  return untilAnswered(caller, [order], isRepeat, (member) =>
    witness.ask(member, "CreateRun", async ({ runs }, options) => [
      (await runs.createRun(order.request, options)).run!,
    ]),
  ).then((runs) => runs?.[0]);
}

/** Creates a run and waits for its end, in one call as far as there is an answer. */
export async function createAndWait(caller: Caller, order: Order): Promise<Run | undefined> {
  const { witness } = caller;
  const { work, request } = order;
  witness.works.push(work);
  const answer = await witness.ask(
    caller.anyServer(),
    "WaitRun",
    async ({ runs }, options) => (await runs.waitRun({ create: request, omitValues: true }, options)).run!,
    waitLimitMs,
  );
  if (answer.isUnsure) {
    const run = await createRun(caller, order, true);
    return run && (await join(caller, run));
  }
  if (answer.refusal !== undefined) {
    // That there is no such thread may also be said when it goes while the run is waited for.
    work.outcome = answer.refusal === "THREAD_BUSY" ? "refused" : "unsure";
    return undefined;
  }
  known(witness, order, answer, answer.value);
  witness.tell(answer, "wait", answer.value);
  return answer.value;
}

/** Several stateless runs by one request. */
export function createBatch(caller: Caller, orders: readonly Order[]): Promise<readonly Run[] | undefined> {
  const { witness } = caller;
  witness.works.push(...orders.map(({ work }) => work));
  const [first] = orders;
  const requests = orders.map(({ request }): CreateInit => ({ ...request, requestId: "", runId: "", threadId: "" }));
  const batch = { runs: requests, requestId: first!.request.requestId };
  return untilAnswered(caller, orders, false, (member) =>
    witness.ask(
      member,
      "BatchCreateRuns",
      async ({ runs }, options) => (await runs.batchCreateRuns(batch, options)).runs,
    ),
  );
}

async function untilAnswered(
  { witness, anyServer, giveUp }: Caller,
  orders: readonly Order[],
  wasTried: boolean,
  call: (member: Member) => Promise<Answer<readonly Run[]>>,
): Promise<readonly Run[] | undefined> {
  for (let isFirst = !wasTried; !giveUp.aborted; isFirst = false) {
    const answer = await call(anyServer());
    if (answer.value !== undefined) {
      for (const [i, run] of answer.value.entries()) {
        known(witness, orders[i]!, answer, run);
        witness.tell(answer, "get", run);
      }
      return answer.value;
    }
    if (answer.refusal !== undefined) {
      // An earlier try may have made the run, which others have ended since.
      for (const { work } of orders) work.outcome = isFirst ? "refused" : "unsure";
      return undefined;
    }
    await sleep(betweenTriesMs);
  }
  for (const { work } of orders) work.outcome = "unsure";
  return undefined;
}

/** The run is created: somebody was told so. */
export function known(
  witness: Witness,
  { work, request }: Order,
  { at }: { at: number },
  { runId, threadId }: Pick<Run, "runId" | "threadId">,
): void {
  if (request.runId !== "" && work.threadId !== "" && runId !== request.runId)
    witness.complaints.push(`run ${request.runId} was created as ${runId}`);
  work.answers.push(runId);
  work.threadId = threadId;
  work.answeredAt ??= at;
  work.outcome = "created";
}

/** What a wait may take, on the wire: longer than any run takes. */
const waitLimitMs = 60_000;

/** Waits for a run's end, wherever that is to be had. Undefined when it is gone. */
export async function join(
  caller: Caller,
  { threadId, runId }: Pick<Run, "threadId" | "runId">,
): Promise<Run | undefined> {
  const { witness, anyServer, giveUp } = caller;
  const request = { threadId, runId, omitValues: true };
  while (!giveUp.aborted) {
    const answer = await witness.ask(
      anyServer(),
      "JoinRun",
      async ({ runs }, options) => (await runs.joinRun(request, options)).run!,
      waitLimitMs,
    );
    if (answer.value) witness.tell(answer, "join", answer.value);
    if (isGone(answer)) witness.tellGone(answer, "join", runId);
    if (!answer.isUnsure) return answer.value;
    await sleep(betweenTriesMs);
  }
  return undefined;
}

/** Calls again and again until there is an answer; undefined when that is given up. */
export async function repeat<T>(
  { anyServer, giveUp }: Caller,
  call: (member: Member, isFirst: boolean) => Promise<Answer<T>>,
): Promise<Exclude<Answer<T>, { isUnsure: true }> | undefined> {
  for (let isFirst = true; !giveUp.aborted; isFirst = false) {
    const answer = await call(anyServer(), isFirst);
    if (!answer.isUnsure) return answer;
    await sleep(betweenTriesMs);
  }
  return undefined;
}
