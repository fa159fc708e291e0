/// <reference lib="dom" />
/**
 * A conversation with the `agent` example in a web page: it shows what the model writes while it writes, stops a run, goes on
 * where a stopped one left off, and rolls one back. `serve.ts` bundles and serves it.
 */
import { timestampMs } from "@bufbuild/protobuf/wkt";
// In a project of your own: from "reins/client/web".
import {
  CancelAction,
  CancelOutcome,
  createReinsWebClient,
  enumName,
  fromPayload,
  IfExists,
  OnDisconnect,
  type RunEndedEvent,
  type RunEvent,
  RunStatus,
  runEvents,
  StreamMode,
  toPayload,
} from "../../../src/client/web.ts";

/** Put in by serve.ts: where the Reins server is. */
declare const reinsUrl: string;

/** What the page needs to know of a LangChain message. */
type Message = { id: string; type: "human" | "ai" | "tool"; content: string };

const { runs, threads } = createReinsWebClient({ baseUrl: reinsUrl });
const element = (id: string) => document.getElementById(id)!;
const question = element("question") as HTMLInputElement;
const cancelOnDisconnect = element("cancel-on-disconnect") as HTMLInputElement;
const runButton = element("run") as HTMLButtonElement;
const goOnButton = element("go-on") as HTMLButtonElement;
const stopButton = element("stop") as HTMLButtonElement;
const rollBackButton = element("roll-back") as HTMLButtonElement;

/** The messages on the page, by their ids. */
const shown = new Map<string, HTMLElement>();
let liveRunId: string | undefined;

// The address names the thread, so that a reload finds the conversation again.
const threadId = location.hash.slice(1) || crypto.randomUUID();
history.replaceState(null, "", `#${threadId}`);
element("where").textContent = `server ${reinsUrl} · thread ${threadId}`;

element("prompt").addEventListener("submit", (submit) => {
  submit.preventDefault();
  void run(question.value);
  question.value = "";
});
goOnButton.addEventListener("click", () => void run());
stopButton.addEventListener("click", () => void cancel(CancelAction.INTERRUPT));
rollBackButton.addEventListener("click", () => void cancel(CancelAction.ROLLBACK));

question.focus();
// A question that was asked before the thread is shown would be taken for one that it does not hold.
runButton.disabled = true;
await open().catch((error) => showStatus("failed", String(error)));
setLive(undefined);

/** Shows what there is of the thread, which may be new, and takes up the stream of a run that is still live on it. */
async function open(): Promise<void> {
  await threads.createThread({ threadId, ifExists: IfExists.DO_NOTHING });
  await showThread();
  const { runs: live } = await runs.listRuns({ threadId, statuses: [RunStatus.PENDING, RunStatus.RUNNING] });
  for (const { runId } of live) {
    await watch(runId, (signal) => runs.joinRunStream({ threadId, runId, onDisconnect: onDisconnect() }, { signal }));
  }
}

/** Runs the agent on a new question; without one the run goes on where the thread stands. */
async function run(text?: string): Promise<void> {
  const runId = crypto.randomUUID();
  const message = { id: runId, type: "human", content: text ?? "" } as const;
  const spec = {
    assistantId: "agent",
    input: text === undefined ? undefined : toPayload({ messages: [message] }),
    streamModes: [StreamMode.MESSAGES],
  };
  for (const lost of document.querySelectorAll(".lost")) lost.remove();
  if (text !== undefined) showMessage(message);
  await watch(runId, (signal) =>
    runs.streamRun({ create: { threadId, runId, spec }, onDisconnect: onDisconnect() }, { signal }),
  );
}

/** Follows a run to its end. */
async function watch(runId: string, start: Parameters<typeof runEvents>[0]): Promise<void> {
  setLive(runId);
  showStatus("pending");
  try {
    for await (const event of runEvents(start)) await show(event);
  } catch (error) {
    showStatus("failed", String(error));
  }
  setLive(undefined);
}

async function show({ sequence, event }: RunEvent): Promise<void> {
  switch (event.case) {
    case "attemptStarted":
      return showStatus("running", `attempt ${event.value.attempt}`);
    case "output":
      // messages/partial holds all that there is of the message so far; messages/metadata is of no use here.
      if (event.value.name !== "messages/metadata") (fromPayload(event.value.data) as [Message]).forEach(showMessage);
      element("detail").textContent = `${sequence} events`;
      return;
    case "ended":
      await showThread(event.value);
      return showEnd(event.value);
  }
}

function showEnd({ status, cancellation, error }: RunEndedEvent): void {
  if (!cancellation) {
    showStatus(enumName(RunStatus, status).toLowerCase(), error?.message);
    return;
  }
  const { action, outcome, requestedAt, settledAt } = cancellation;
  const took = timestampMs(settledAt!) - timestampMs(requestedAt!);
  const what = action === CancelAction.ROLLBACK ? "rolled back" : "interrupted";
  showStatus(what, `${enumName(CancelOutcome, outcome).toLowerCase()} after ${took} ms`);
}

async function cancel(action: CancelAction): Promise<void> {
  const runId = liveRunId;
  if (runId === undefined) return;
  showStatus("stopping");
  // The stream says when the run is over and how; here only an error is of interest, such as: it had just ended.
  await runs.cancelRun({ threadId, runId, action }).catch((error) => showStatus("not cancelled", String(error)));
}

/** Shows what the thread really holds now: of a stopped run the completed steps, of a rolled back one nothing. */
async function showThread(ended?: RunEndedEvent): Promise<void> {
  const { state } = await threads.getThreadState({ threadId });
  const { messages = [] } = (fromPayload(state!.values) ?? {}) as { messages?: Message[] };
  messages.forEach(showMessage);
  const kept = new Set(messages.map(({ id }) => id));
  for (const [id, line] of shown) {
    if (kept.has(id)) continue;
    if (ended?.cancellation?.action === CancelAction.ROLLBACK) line.remove();
    else line.classList.add("lost");
    shown.delete(id);
  }
  goOnButton.hidden = state!.next.length === 0;
}

function showMessage({ id, type, content }: Message): void {
  let line = shown.get(id);
  if (!line) {
    line = document.createElement("div");
    line.className = `message ${type}`;
    shown.set(id, line);
    element("messages").append(line);
  }
  line.textContent = content;
  scrollTo(0, document.body.scrollHeight);
}

function showStatus(status: string, detail = ""): void {
  element("status").textContent = status;
  element("detail").textContent = detail;
}

function setLive(runId: string | undefined): void {
  liveRunId = runId;
  element("status").classList.toggle("live", runId !== undefined);
  runButton.disabled = goOnButton.disabled = runId !== undefined;
  stopButton.disabled = rollBackButton.disabled = runId === undefined;
}

function onDisconnect(): OnDisconnect {
  return cancelOnDisconnect.checked ? OnDisconnect.CANCEL : OnDisconnect.CONTINUE;
}
