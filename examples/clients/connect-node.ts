/**
 * Runs over Connect (or gRPC, or gRPC-Web: the same port serves all three) from Node: stop a run and go on from there, roll
 * one back, stop many with one call, and stop one by leaving.
 *
 *   npm start                                                       in one terminal
 *   node examples/clients/connect-node.ts [http://127.0.0.1:2024]   in another
 */
import { randomUUID } from "node:crypto";
// In a project of your own: from "reins/client".
import {
  CancelAction,
  CancelOutcome,
  createReinsClient,
  enumName,
  errorReason,
  fromPayload,
  LiveRunStatus,
  OnDisconnect,
  PayloadFormat,
  type RunEvent,
  RunStatus,
  StreamMode,
  toPayload,
  until,
} from "../../src/client/index.ts";

const { runs, threads } = createReinsClient({
  baseUrl: process.argv[2] ?? "http://127.0.0.1:2024",
  protocol: "connect",
});

const { thread } = await threads.createThread({ metadata: { example: "connect-node" } });
const { threadId } = thread!;
console.log(`thread ${threadId}`);

console.log("\n== Stop a run: what it has completed stays");
const stopped = newRun("Is the early bird right?");
await watch(stopped, async () => {
  const { outcome, run } = await runs.cancelRun({ ...idsOf(stopped), reason: "seen enough", wait: true });
  console.log(`the cancel answers ${enumName(CancelOutcome, outcome)}, the run is ${statusOf(run)}`);
});
await printState();

console.log("\n== Go on: a run without input takes up what the stopped one has left");
await watch(newRun());
await printState();

console.log("\n== Roll a run back: as if it had never been");
const unwanted = newRun("And the second mouse?");
await watch(unwanted, () => runs.cancelRun({ ...idsOf(unwanted), action: CancelAction.ROLLBACK, wait: true }));
await printState();
await runs.getRun(idsOf(unwanted)).catch((error) => console.log(`reading the run fails: ${errorReason(error)}`));

console.log("\n== Stop many: the one that executes and those that wait for the thread");
for (const question of ["One?", "Two?", "Three?"]) await runs.createRun(newRun(question));
const filter = { threadId, status: LiveRunStatus.ALL };
const { counts } = await runs.cancelRuns({ target: { case: "filter", value: filter }, wait: true });
for (const { outcome, count } of counts) console.log(`${count} runs: ${enumName(CancelOutcome, outcome)}`);

console.log("\n== Leave a run: with on_disconnect it stops when its watcher goes");
const left = newRun("And the cat?");
const request = { create: left, onDisconnect: OnDisconnect.CANCEL };
// `until` cancels the call when the loop is left. A bare `for await` would leave the call open, and the run would go on.
for await (const { events } of until((signal) => runs.streamRun(request, { signal }))) {
  if (events.some(({ event }) => event.case === "output")) break;
}
const { run } = await runs.joinRun({ ...idsOf(left), omitValues: true });
console.log(`the run is ${statusOf(run)}: ${run!.cancellation!.reason}`);

/** The request for a run of the agent that comes with Reins. The client may choose the id; then it never has to be looked up. */
function newRun(question?: string) {
  const input = { messages: [{ role: "user", content: question }], delay_ms: 40 };
  return {
    threadId,
    runId: randomUUID(),
    spec: {
      assistantId: "agent",
      input: question === undefined ? undefined : toPayload(input),
      streamModes: [StreamMode.MESSAGES_TUPLE],
    },
  };
}

type NewRun = ReturnType<typeof newRun>;

/** Creates a run and prints its events; calls back when the first tool has answered. */
async function watch(create: NewRun, onToolResult?: () => Promise<unknown>): Promise<void> {
  const request = { create, payloadFormat: PayloadFormat.JSON };
  for await (const { events } of until((signal) => runs.streamRun(request, { signal }))) {
    for (const event of events) {
      if (print(event) !== "tool") continue;
      await onToolResult?.();
      onToolResult = undefined;
    }
  }
}

/** Prints an event; answers what kind of message it is a piece of, if any. */
function print({ event }: RunEvent): string | undefined {
  if (event.case === "ended") console.log(`\nthe stream ends with ${statusOf(event.value)}`);
  if (event.case !== "output") return undefined;
  // In the mode MESSAGES_TUPLE an output is a piece of a message, and its metadata.
  const [message] = fromPayload(event.value.data) as [{ type: string; content: string }, object];
  process.stdout.write(message.type === "tool" ? `\n[tool] ${message.content}\n` : message.content);
  return message.type;
}

async function printState(): Promise<void> {
  const { state } = await threads.getThreadState({ threadId, payloadFormat: PayloadFormat.JSON });
  const { messages } = fromPayload(state!.values) as { messages: unknown[] };
  console.log(`the thread has ${messages.length} messages; next: ${state!.next.join(", ") || "nothing"}`);
}

function idsOf({ threadId, runId }: NewRun) {
  return { threadId, runId };
}

function statusOf(run: { status: RunStatus } | undefined): string {
  return enumName(RunStatus, run!.status);
}
