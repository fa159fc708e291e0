import { CancelAction, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { errorReason, fromPayload, toPayload, until } from "../../src/client/index.ts";
import {
  createRun,
  createThread,
  messagesOf,
  outcomeName,
  question,
  type Stage,
  same,
  statusName,
  timed,
  untilMessages,
} from "./stage.ts";

/** What the undisturbed run came to: later scenes must reach the same. */
let undisturbed: string[] = [];

export async function streamALongRun(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  const spec = { assistantId: "agent", input: toPayload(question), streamModes: [StreamMode.MESSAGES_TUPLE] };
  const start = performance.now();
  const sequences: bigint[] = [];
  let firstEvent = 0;
  let text = "";
  let runId = "";
  for await (const { events } of until((signal) =>
    stage.client.runs.streamRun({ create: { threadId, spec } }, { signal }),
  )) {
    firstEvent ||= performance.now() - start;
    for (const { sequence, event } of events) {
      sequences.push(sequence);
      if (event.case === "created") runId = event.value.runId;
      if (event.case !== "output") continue;
      const [message] = fromPayload(event.value.data) as [{ type: string; content: string }];
      if (message.type === "ai") text += message.content;
    }
  }
  stage.say(`the assistant said: ${text.slice(0, 150)} ...`);
  stage.say(
    `${sequences.length} events, the first after ${firstEvent.toFixed(0)} ms, all in ${(performance.now() - start).toFixed(0)} ms`,
  );
  const gapless = sequences.every((sequence, i) => sequence === BigInt(i + 1));
  stage.check("the events are numbered without a gap or a repeat", gapless);
  const stored = await stage.db.collection<{ _id: string; status: string }>("runs").findOne({ _id: runId });
  stage.check("the database says: success", stored?.status === "success");
  undisturbed = await messagesOf(stage, threadId);
  stage.check("the thread holds the whole conversation", undisturbed.length === 8);
}

export async function interruptAndResume(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  const { runId } = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 3);
  const [answer, asked] = await timed(() =>
    stage.client.runs.cancelRun({ threadId, runId, reason: "the user pressed stop" }),
  );
  stage.say(
    `cancel answered after ${asked}: ${outcomeName(answer.outcome)}, the run is ${statusName(answer.run!.status)}`,
  );
  const [over, joined] = await timed(() => stage.client.runs.joinRun({ threadId, runId }));
  const told = answer.run!;
  const sameEnd =
    told.endedAt?.seconds === over.run!.endedAt!.seconds && told.endedAt?.nanos === over.run!.endedAt!.nanos;
  stage.check(
    "it is not called stopped before it is",
    told.status === RunStatus.RUNNING ? told.endedAt === undefined : told.status === over.run!.status && sameEnd,
  );
  stage.say(
    `it was over ${joined} later: ${statusName(over.run!.status)}, ${outcomeName(over.run!.cancellation!.outcome)}`,
  );
  stage.check("the run is interrupted", over.run!.status === RunStatus.INTERRUPTED);

  const kept = await messagesOf(stage, threadId);
  const { state } = await stage.client.threads.getThreadState({ threadId });
  stage.say(`kept: ${kept.length} messages of the completed steps; next would be: ${state!.next.join(", ")}`);
  stage.check("every completed step is kept", kept.length >= 3 && same(kept, undisturbed.slice(0, kept.length)));
  const newest = { run_id: runId, "checkpoints.id": state!.checkpoint!.checkpointId };
  stage.check(
    "its checkpoint is in the database",
    (await stage.db.collection("checkpoints").countDocuments(newest)) === 1,
  );

  const resumed = await createRun(stage, threadId, null);
  const [end, resumedIn] = await timed(() => stage.client.runs.joinRun({ threadId, runId: resumed.runId }));
  stage.say(`resumed with input null: ${statusName(end.run!.status)} after ${resumedIn}`);
  stage.check("it comes to the same end as the undisturbed run", same(await messagesOf(stage, threadId), undisturbed));
}

export async function rollBack(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  await stage.client.runs.waitRun({
    create: { threadId, spec: { assistantId: "agent", input: toPayload({ ...question, steps: 1 }) } },
  });
  const facts = async () => ({
    state: (await stage.client.threads.getThreadState({ threadId })).state,
    history: (await stage.client.threads.listThreadHistory({ threadId, limit: 1000 })).states,
    status: (await stage.client.threads.getThread({ threadId })).thread!.status,
  });
  const json = async () =>
    JSON.stringify(await facts(), (_, value) => (typeof value === "bigint" ? String(value) : value));
  const before = await json();
  const { runId } = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 7);
  const request = { threadId, runId, action: CancelAction.ROLLBACK, wait: true };
  const [answer, took] = await timed(() => stage.client.runs.cancelRun(request));
  stage.say(`rolled back in ${took}: ${outcomeName(answer.outcome)}`);
  const gone = await stage.client.runs.getRun({ threadId, runId }).then(() => "there", errorReason);
  stage.check("the run is gone: get answers NOT_FOUND", gone === "RUN_NOT_FOUND");
  stage.check("state, history and status are what they were before", (await json()) === before);
  const left = await Promise.all([
    stage.db.collection("checkpoints").countDocuments({ run_id: runId, "checkpoints.id": { $exists: true } }),
    stage.db.collection("run_events").countDocuments({ run_id: runId }),
    stage.db.collection<{ _id: string }>("runs").countDocuments({ _id: runId }),
  ]);
  stage.check("the database holds no checkpoint, event or record of it", same(left, [0, 0, 0]));
}

export async function cancelWithWait(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  const { runId } = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 1);
  const [answer, took] = await timed(() => stage.client.runs.cancelRun({ threadId, runId, wait: true }));
  stage.say(`answered after ${took}: ${outcomeName(answer.outcome)}, the run is ${statusName(answer.run!.status)}`);
  stage.check("with wait the answer comes when the run is over", answer.run!.status === RunStatus.INTERRUPTED);
}

export async function cancelByIds(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  const first = await createRun(stage, threadId, question);
  const second = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 1);
  const runIds = [first.runId, second.runId];
  const target = { case: "runs" as const, value: { threadId, runIds } };
  const [answer, took] = await timed(() => stage.client.runs.cancelRuns({ target, wait: true }));
  const outcomes = answer.results.map(({ outcome }) => outcomeName(outcome));
  stage.say(`two runs of one thread in ${took}: ${outcomes.join(", ")}`);
  stage.check(
    "the running one was stopped, the waiting one never started",
    same(outcomes, ["STOPPED", "NEVER_STARTED"]),
  );
  const { runs } = await stage.client.runs.listRuns({ threadId, omitSpec: true });
  stage.check(
    "both are listed as interrupted",
    runs.length === 2 && runs.every((run) => run.status === RunStatus.INTERRUPTED),
  );
}

export async function cancelByStatus(stage: Stage): Promise<void> {
  const threads = [await createThread(stage), await createThread(stage), await createThread(stage)];
  for (const threadId of threads) await createRun(stage, threadId, question);
  for (const threadId of threads) await untilMessages(stage, threadId, 1);
  const target = { case: "filter", value: { status: LiveRunStatus.RUNNING } } as const;
  const [answer, took] = await timed(() => stage.client.runs.cancelRuns({ target, wait: true }));
  const counts = answer.counts.map(({ outcome, count }) => `${count} ${outcomeName(outcome)}`);
  stage.say(`all running runs, over ${threads.length} threads, in ${took}: ${counts.join(", ")}`);
  stage.check("all of them were hit", answer.results.length === threads.length);
  const live = await stage.db.collection("runs").countDocuments({ status: { $in: ["pending", "running"] } });
  stage.check("the database knows no live run any more", live === 0);
}
