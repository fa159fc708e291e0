/**
 * Runs over gRPC with grpc-js: watch one, stop one, take one back, and stop one by leaving.
 *
 *   npm start                                                  in one terminal
 *   node examples/clients/grpc-js.ts [http://127.0.0.1:2024]   in another
 */
import { randomUUID } from "node:crypto";
// In a project of your own: from "reins/client".
import {
  CancelAction,
  CancelOutcome,
  createGrpcJsClient,
  enumName,
  errorReason,
  fromPayload,
  OnDisconnect,
  PayloadFormat,
  type RunEvent,
  RunService,
  RunStatus,
  runEvents,
  StreamMode,
  ThreadService,
  toPayload,
} from "../../src/client/index.ts";

const { host } = new URL(process.argv[2] ?? "http://127.0.0.1:2024");
// One client a service; grpc-js shares the connection between them.
const runs = createGrpcJsClient(RunService, host);
const threads = createGrpcJsClient(ThreadService, host);

const { thread } = await threads.createThread({});
const { threadId } = thread!;
console.log(`thread ${threadId}`);

console.log("\n== Watch a run to its end");
for await (const event of stream(newRun("Is the early bird right?", 1))) print(event);

console.log("\n== Stop a run: what it has completed stays");
const stopped = newRun("And the second mouse?");
for await (const event of stream(stopped)) {
  print(event);
  if (isToolResult(event)) {
    // Two ids are all that it takes, so this could as well come from another process. With `wait` the answer comes when no
    // node function of the run executes any more.
    const { threadId, runId } = stopped;
    const { outcome, run } = await runs.cancelRun({ threadId, runId, reason: "seen enough", wait: true });
    console.log(`the cancel answers ${enumName(CancelOutcome, outcome)}, the run is ${statusOf(run)}`);
  }
}
await printState();

console.log("\n== Roll a run back: as if it had never been");
const unwanted = newRun("And the cat?");
for await (const event of stream(unwanted)) {
  print(event);
  if (isToolResult(event)) {
    const { threadId, runId } = unwanted;
    await runs.cancelRun({ threadId, runId, action: CancelAction.ROLLBACK, wait: true });
  }
}
await printState();
await runs.getRun(unwanted).catch((error) => console.log(`reading the run fails: ${errorReason(error)}`));

console.log("\n== Leave a run: with on_disconnect it stops when its watcher goes");
const left = newRun("And the dog?");
for await (const event of stream(left, OnDisconnect.CANCEL)) {
  print(event);
  if (event.event.case === "output") break;
}
const { run } = await runs.joinRun({ ...left, omitValues: true });
console.log(`\nthe run is ${statusOf(run)}: ${run!.cancellation!.reason}`);

runs.close();
threads.close();

/** The request for a run of the agent that comes with Reins. The client may choose the id; then it never has to be looked up. */
function newRun(question: string, steps = 3) {
  return {
    threadId,
    runId: randomUUID(),
    spec: {
      assistantId: "agent",
      input: toPayload({ messages: [{ role: "user", content: question }], steps, delay_ms: 40 }),
      streamModes: [StreamMode.MESSAGES_TUPLE],
    },
  };
}

/** Creates the run and answers its events, one by one; leaving the loop cancels the call. */
function stream(create: ReturnType<typeof newRun>, onDisconnect: OnDisconnect = OnDisconnect.CONTINUE) {
  const request = { create, onDisconnect, payloadFormat: PayloadFormat.JSON };
  return runEvents((signal) => runs.streamRun(request, { signal }));
}

/** In the mode MESSAGES_TUPLE an output is a piece of a message and its metadata. */
function messageOf({ event }: RunEvent): { type: string; content: string } | undefined {
  return event.case === "output" ? (fromPayload(event.value.data) as [never])[0] : undefined;
}

function isToolResult(event: RunEvent): boolean {
  return messageOf(event)?.type === "tool";
}

function print(event: RunEvent): void {
  const message = messageOf(event);
  if (message) process.stdout.write(message.type === "tool" ? `\n[tool] ${message.content}\n` : message.content);
  // The last event of each stream says how the run ended.
  if (event.event.case === "ended") console.log(`\nthe stream ends with ${statusOf(event.event.value)}`);
}

async function printState(): Promise<void> {
  const { state } = await threads.getThreadState({ threadId, payloadFormat: PayloadFormat.JSON });
  const { messages } = fromPayload(state!.values) as { messages: unknown[] };
  console.log(`the thread has ${messages.length} messages; next: ${state!.next.join(", ") || "nothing"}`);
}

function statusOf(run: { status: RunStatus } | undefined): string {
  return enumName(RunStatus, run!.status);
}
