import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { enumName, fromPayload, PayloadFormat, type ReinsClient } from "../../src/client/index.ts";
import type { Evidence, ListedRun, ThreadAtEnd } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Member } from "./member.ts";
import { readToTheEnd } from "./readers.ts";
import { type Answer, isGone, statusName, type Witness } from "./witness.ts";

/** What is read when the faults are over; each call has so long, since nothing stands in its way any more. */
const callLimitMs = 30_000;

/** Resolves when every server says that nothing is live; complains about what is when the time is over. */
export async function untilNothingIsLive(members: readonly Member[], witness: Witness, limitMs: number): Promise<void> {
  const end = machineMs() + limitMs;
  for (const member of members) {
    for (;;) {
      const live = await liveRuns(member).catch((error: unknown) => String(error));
      if (live.length === 0) break;
      if (machineMs() > end) {
        const said =
          typeof live === "string"
            ? live
            : live.map(({ runId, status }) => `${runId} (${statusName(status)})`).join(", ");
        witness.complaints.push(
          `${limitMs / 1000} s after the faults there are live runs at server ${member.index}: ${said}`,
        );
        break;
      }
      await sleep(100);
    }
  }
}

async function liveRuns({ client }: Member): Promise<Run[]> {
  const statuses = [RunStatus.PENDING, RunStatus.RUNNING];
  return (await client.runs.listRuns({ statuses, pageSize: 1000, omitSpec: true }, { timeoutMs: callLimitMs })).runs;
}

/** What each server says of each thread and each run; what takes long is asked of one of them. */
export async function readFinals(members: readonly Member[], witness: Witness): Promise<ThreadAtEnd[]> {
  const names = new Set(witness.works.map(({ threadId }) => threadId).filter((id) => id !== ""));
  const threads: ThreadAtEnd[] = [];
  const anyOf = (i: number) => members[i % members.length]!;
  for (const [i, thread] of [...names].entries()) {
    const state = await readState(anyOf(i), witness, thread);
    for (const member of members) threads.push({ ...(await readThread(member, witness, thread)), ...state });
  }
  for (const [i, { answers, threadId }] of witness.works.entries()) {
    const run = answers[0];
    if (!run) continue;
    for (const member of members) await readRun(member, witness, threadId, run);
    const reading = { thread: threadId, run, pick: () => anyOf(i), isFinal: true };
    await readToTheEnd(witness, reading, AbortSignal.timeout(callLimitMs));
  }
  complainOfDeleted(threads, witness);
  return threads;
}

async function readRun(member: Member, witness: Witness, threadId: string, runId: string): Promise<void> {
  const name = { threadId, runId };
  const limit = { timeoutMs: callLimitMs };
  const read = async (by: "get" | "join", call: (client: ReinsClient) => Promise<{ run?: Run }>) => {
    const answer = await sure(member, witness, by === "get" ? "GetRun" : "JoinRun", call);
    if (answer?.value) witness.tell(answer, by, answer.value.run!, true);
    if (answer && isGone(answer)) witness.tellGone(answer, by, runId, true);
  };
  await read("get", ({ runs }) => runs.getRun(name, limit));
  await read("join", ({ runs }) => runs.joinRun({ ...name, omitValues: true }, limit));
}

/** Complains when there is no answer: nothing hinders one any more. */
async function sure<T>(
  member: Member,
  witness: Witness,
  name: string,
  call: (client: ReinsClient) => Promise<T>,
): Promise<Exclude<Answer<T>, { isUnsure: true }> | undefined> {
  for (let tries = 0; tries < 3; tries += 1) {
    const answer = await witness.ask(member, name, call, callLimitMs);
    if (!answer.isUnsure) return answer;
    // The first call may still have met a connection that had died meanwhile.
    await sleep(200);
  }
  witness.complaints.push(`${name} has no answer at server ${member.index} when all is well again`);
  return undefined;
}

type State = Pick<ThreadAtEnd, "next" | "log" | "history">;

async function readState(member: Member, witness: Witness, threadId: string): Promise<State> {
  const limit = { timeoutMs: callLimitMs };
  const state = await sure(member, witness, "GetThreadState", ({ threads }) =>
    threads.getThreadState({ threadId, payloadFormat: PayloadFormat.JSON }, limit),
  );
  const history = await sure(member, witness, "ListThreadHistory", ({ threads }) =>
    threads.listThreadHistory({ threadId, limit: 1000, omitValues: true }, limit),
  );
  const { log = [] } = (fromPayload(state?.value?.state?.values) ?? {}) as { log?: string[] };
  const runs = (history?.value?.states ?? []).map(({ metadata }) => String(metadata?.run_id ?? ""));
  return { log, next: state?.value?.state?.next ?? [], history: [...new Set(runs)] };
}

async function readThread(member: Member, witness: Witness, threadId: string): Promise<Omit<ThreadAtEnd, keyof State>> {
  const limit = { timeoutMs: callLimitMs };
  const got = await sure(member, witness, "GetThread", ({ threads }) =>
    threads.getThread({ threadId, omitValues: true }, limit),
  );
  const found = await sure(member, witness, "SearchThreads", ({ threads }) =>
    threads.searchThreads({ filter: { threadIds: [threadId] }, omitValues: true }, limit),
  );
  const listed = await sure(member, witness, "ListRuns", ({ runs }) =>
    runs.listRuns({ threadId, pageSize: 1000 }, limit),
  );
  for (const run of listed?.value?.runs ?? []) witness.tell(listed!, "list", run, true);
  return {
    thread: threadId,
    server: member.index,
    status: statusOf(got?.value?.thread?.status),
    searched: statusOf(found?.value?.threads[0]?.status),
    listed: (listed?.value?.runs ?? []).map(listedRun),
  };
}

const statusOf = (status: ThreadStatus | undefined): ThreadAtEnd["status"] =>
  status === undefined ? "gone" : (enumName(ThreadStatus, status).toLowerCase() as ThreadAtEnd["status"]);

const listedRun = ({ runId, spec, startedAt }: Run): ListedRun => ({
  run: runId,
  work: String(spec?.metadata?.work ?? ""),
  startedAt: startedAt && timestampMs(startedAt),
});

function complainOfDeleted(
  threads: readonly ThreadAtEnd[],
  { asked, complaints }: Pick<Evidence, "asked"> & { complaints: string[] },
): void {
  for (const { thread, server, status } of threads) {
    const isDeleted = asked.some((one) => one.by === "delete" && one.isKept && one.thread === thread);
    if (isDeleted && status !== "gone")
      complaints.push(`thread ${thread} was deleted and is ${status} at server ${server}`);
  }
}
