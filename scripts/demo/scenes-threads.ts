import { MultitaskStrategy, OnDisconnect, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason, fromPayload, toPayload } from "../../src/client/index.ts";
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

const secondThought = { ...question, messages: [{ role: "user", content: "And the worm?" }], steps: 1 };

export async function doubleTexting(stage: Stage): Promise<void> {
  const { runs } = stage.client;
  const strategies = [
    ["ENQUEUE", MultitaskStrategy.ENQUEUE],
    ["REJECT", MultitaskStrategy.REJECT],
    ["INTERRUPT", MultitaskStrategy.INTERRUPT],
    ["ROLLBACK", MultitaskStrategy.ROLLBACK],
  ] as const;
  for (const [name, multitaskStrategy] of strategies) {
    const threadId = await createThread(stage);
    const old = await createRun(stage, threadId, question);
    await untilMessages(stage, threadId, 3);
    const spec = { assistantId: "agent", input: toPayload(secondThought), multitaskStrategy };
    const created = await runs.createRun({ threadId, spec }).catch(errorReason);
    if (name === "REJECT") {
      stage.check("REJECT: the second run is refused, the first goes on", created === "THREAD_BUSY");
      await runs.cancelRun({ threadId, runId: old.runId, wait: true });
      continue;
    }
    const { runId } = (created as { run: Run }).run;
    const [{ run }, took] = await timed(() => runs.joinRun({ threadId, runId }));
    const [first] = await stage.db
      .collection("runs")
      .find({ _id: old.runId as never })
      .toArray();
    stage.say(`${name}: the second run ${statusName(run!.status)} after ${took}`);
    const didNotOverlap = first === undefined || first.ended_at <= timeOf(run!);
    stage.check(`${name}: the second started when the first was really over`, didNotOverlap);
    const messages = await messagesOf(stage, threadId);
    const left = messages.filter((message) => message.includes("early bird")).length > 0;
    stage.check(
      `${name}: ${whatIsLeft[name]}`,
      first?.status === statusOfFirst[name] && left === (name !== "ROLLBACK"),
    );
    if (name === "ENQUEUE") continue;
    const cause =
      first?.cancel ?? (await stage.db.collection("tombstones").findOne({ _id: old.runId as never }))?.cancel;
    stage.check(`${name}: the first names the second as the cause`, cause?.cause === runId);
  }
}

const statusOfFirst = { ENQUEUE: "success", INTERRUPT: "interrupted", ROLLBACK: undefined };
const whatIsLeft = {
  ENQUEUE: "the first came to its end before",
  INTERRUPT: "the second went on from what the first had completed",
  ROLLBACK: "nothing of the first is left",
};

const timeOf = ({ startedAt }: Run): Date => new Date(Number(startedAt!.seconds) * 1000 + startedAt!.nanos / 1e6);

export async function timeTravel(stage: Stage): Promise<void> {
  const { runs, threads } = stage.client;
  const threadId = await createThread(stage);
  const { runId } = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 5);
  await runs.cancelRun({ threadId, runId, wait: true });
  const { states } = await threads.listThreadHistory({ threadId, limit: 100 });
  stage.say(`cancelled after ${(await messagesOf(stage, threadId)).length} messages; ${states.length} states are kept`);
  const past = states.find((state) => countOf(fromPayload(state.values)) === 3)!;
  const replayed = await runs.waitRun({
    create: { threadId, spec: { assistantId: "agent", checkpointId: past.checkpoint!.checkpointId } },
  });
  stage.check(
    "replayed from the third message, it comes to the usual end",
    replayed.run!.status === RunStatus.SUCCESS && countOf(fromPayload(replayed.values)) === 8,
  );
  const { checkpoint } = await threads.updateThreadState({
    threadId,
    checkpoint: past.checkpoint,
    values: toPayload({ steps: 1 }),
  });
  const forked = await runs.waitRun({ create: { threadId, spec: { assistantId: "agent" } } });
  stage.say(`forked there with one step instead of three: ${countOf(fromPayload(forked.values))} messages`);
  stage.check("the fork goes its own way", countOf(fromPayload(forked.values)) === 4);
  const after = await threads.listThreadHistory({ threadId, limit: 100 });
  const ids = new Set(after.states.map((state) => state.checkpoint!.checkpointId));
  stage.check(
    "nothing of the past was lost by it",
    ids.has(checkpoint!.checkpointId) && states.every((state) => ids.has(state.checkpoint!.checkpointId)),
  );
}

const countOf = (values: unknown): number => (values as { messages?: unknown[] } | undefined)?.messages?.length ?? 0;

export async function humanInTheLoop(stage: Stage): Promise<void> {
  const { runs, threads } = stage.client;
  const threadId = await createThread(stage);
  const input = { messages: [{ role: "user", content: "Tell them" }], delay_ms: 10 };
  const asked = await runs.waitRun({
    create: { threadId, spec: { assistantId: "approval", input: toPayload(input) } },
  });
  const questionOf = async () => (await threads.getThread({ threadId })).thread!;
  const before = await questionOf();
  stage.say(`the run asks: ${JSON.stringify(fromPayload(asked.interrupts[0]?.value))}`);
  stage.check(
    "the run is a success, its thread waits with the question",
    asked.run!.status === RunStatus.SUCCESS &&
      before.status === ThreadStatus.INTERRUPTED &&
      before.interrupts.length === 1,
  );
  const answer = (resume: string) => ({ assistantId: "approval", command: { resume: toPayload(resume) } });
  const wrong = (await runs.createRun({ threadId, spec: answer("please write ten pages") })).run!;
  const rolledBack = await runs.cancelRun({ threadId, runId: wrong.runId, action: 2, wait: true });
  const after = await questionOf();
  stage.say(`a hasty answer, taken back: ${outcomeName(rolledBack.outcome)}`);
  stage.check(
    "the question is there again and the hasty answer forgotten",
    after.status === ThreadStatus.INTERRUPTED &&
      same(
        after.interrupts.map(({ id }) => id),
        before.interrupts.map(({ id }) => id),
      ),
  );
  const end = await runs.waitRun({ create: { threadId, spec: answer("approve") } });
  const sent = (fromPayload(end.values) as { messages: { content: string }[]; wishes: string[] })!;
  stage.check("the next answer counts", sent.messages.at(-1)!.content.startsWith("Sent:") && sent.wishes.length === 0);
}

export async function statelessRuns(stage: Stage): Promise<void> {
  const { runs } = stage.client;
  const spec = { assistantId: "agent", input: toPayload({ ...question, steps: 1, delay_ms: 5 }) };
  const waited = await runs.waitRun({ create: { spec }, onDisconnect: OnDisconnect.CANCEL });
  stage.say(`without a thread: ${statusName(waited.run!.status)}, ${countOf(fromPayload(waited.values))} messages`);
  stage.check("its outcome has the values", countOf(fromPayload(waited.values)) === 4);
  const { runs: batch } = await runs.batchCreateRuns({ runs: [{ spec }, { spec }, { spec }] });
  const ends = await Promise.all(
    batch.map(({ threadId, runId }) => runs.joinRun({ threadId, runId }).catch(errorReason)),
  );
  const succeeded = ends.filter((end) => typeof end !== "string" && end?.run?.status === RunStatus.SUCCESS).length;
  stage.check("a batch of three runs comes to its ends", succeeded === 3);
  const ids = [waited.run!.threadId, ...batch.map(({ threadId }) => threadId)];
  const start = performance.now();
  const left = () =>
    Promise.all(
      ["threads", "runs", "run_events"].map((name) =>
        stage.db.collection(name).countDocuments(
          // A thread's id is remembered for a while, by a document that says it is removed.
          name === "threads"
            ? { _id: { $in: ids as never[] }, removed_at: { $exists: false } }
            : { thread_id: { $in: ids } },
        ),
      ),
    );
  while (!same(await left(), [0, 0, 0]) && performance.now() - start < 10_000);
  stage.check("nothing of the four is left: no thread, no run, no event", same(await left(), [0, 0, 0]));
}
