import { readFileSync } from "node:fs";
import { join } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { isRunning } from "./server.ts";
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

export async function vanishingClients(stage: Stage): Promise<void> {
  const onDisconnect = OnDisconnect.CANCEL;
  const { runs } = stage.client;
  const spec = { assistantId: "agent", input: toPayload(question) };
  const ways: Record<string, (threadId: string, runId: string, signal: AbortSignal) => Promise<unknown>> = {
    wait: (threadId, runId, signal) => runs.waitRun({ create: { threadId, runId, spec }, onDisconnect }, { signal }),
    stream: (threadId, runId, signal) =>
      readAll(runs.streamRun({ create: { threadId, runId, spec }, onDisconnect }, { signal })),
    join: async (threadId, runId, signal) => {
      await runs.createRun({ threadId, runId, spec });
      return runs.joinRun({ threadId, runId, onDisconnect }, { signal });
    },
    "join-stream": async (threadId, runId, signal) => {
      await runs.createRun({ threadId, runId, spec });
      return readAll(runs.joinRunStream({ threadId, runId, onDisconnect }, { signal }));
    },
  };
  for (const [way, watch] of Object.entries(ways)) {
    const threadId = await createThread(stage);
    const runId = crypto.randomUUID();
    const leaving = new AbortController();
    const watching = watch(threadId, runId, leaving.signal).catch(() => undefined);
    await untilMessages(stage, threadId, 1);
    const left = Date.now();
    leaving.abort();
    await watching;
    const { run } = await runs.joinRun({ threadId, runId });
    const after = timestampMs(run!.cancellation!.settledAt!) - left;
    stage.say(`${way}: the client vanished, the run was over ${after} ms later`);
    const { requestedBy, reason } = run!.cancellation!;
    stage.check(
      `${way}: interrupted, by "${requestedBy}" because "${reason}"`,
      run!.status === RunStatus.INTERRUPTED && requestedBy === "disconnect",
    );
  }
}

export async function stubbornAgents(stage: Stage): Promise<void> {
  for (const mode of ["deaf", "busy"]) {
    const heartbeatFile = join(stage.folder, `${mode}.beats`);
    const beats = () => readFileSync(heartbeatFile, { encoding: "utf8", flag: "a+" }).length;
    const threadId = await createThread(stage);
    const neighbourThread = await createThread(stage);
    const neighbour = await createRun(stage, neighbourThread, question);
    await untilMessages(stage, neighbourThread, 1);
    const input = { mode, ms: 60_000, heartbeat_file: heartbeatFile };
    const { runId } = await createRun(stage, threadId, input, "stubborn");
    while (beats() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const before = stage.server.processes().filter(({ kind }) => kind === "agents");
    const [answer, took] = await timed(() => stage.client.runs.cancelRun({ threadId, runId, wait: true }));
    const signs = beats();
    stage.say(`${mode}: over after ${took}: ${outcomeName(answer.outcome)}`);
    const dead = before.filter(({ pid }) => !isRunning(pid));
    stage.check("the process that executed it is gone from the process table", dead.length === 1);
    const { run } = await stage.client.runs.joinRun({ threadId: neighbourThread, runId: neighbour.runId });
    stage.say(`the neighbour in the same process: ${statusName(run!.status)} in attempt ${run!.attempt}`);
    stage.check("the neighbour came to its end all the same", run!.status === RunStatus.SUCCESS);
    stage.check("with the whole conversation", (await messagesOf(stage, neighbourThread)).length === 8);
    stage.check("the stubborn node has left no sign of life since the answer", beats() === signs);
  }
}

export async function killedServer(stage: Stage): Promise<void> {
  const threadId = await createThread(stage);
  const { runId } = await createRun(stage, threadId, question);
  await untilMessages(stage, threadId, 3);
  const before = await messagesOf(stage, threadId);
  const { restartedAfterMs, left } = await stage.crash();
  stage.say(
    `the server was killed (SIGKILL) in the middle of a run, and started again in ${restartedAfterMs.toFixed(0)} ms`,
  );
  const [{ run }, took] = await timed(() => stage.client.runs.joinRun({ threadId, runId }));
  // What watches over the agents' processes ends after them.
  stage.check(`of its ${left.length} processes none is left`, left.filter(isRunning).length === 0);
  stage.say(
    `the run went on by itself: ${statusName(run!.status)} in attempt ${run!.attempt}, ${took} after the start`,
  );
  stage.check("it succeeded", run!.status === RunStatus.SUCCESS && run!.attempt === 2);
  const after = await messagesOf(stage, threadId);
  stage.check(
    "no completed step was lost or done twice",
    after.length === 8 && same(after.slice(0, before.length), before),
  );
}

async function readAll(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}
