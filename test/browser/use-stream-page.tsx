/// <reference lib="dom" />
import type { Message } from "@langchain/langgraph-sdk";
import { useStream } from "@langchain/langgraph-sdk/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

/**
 * A conversation as people build it with `useStream`. The query says with whom: `api`, `assistant`, `rejoin` to take a run's
 * stream up again after a reload, and `with` for what goes into the state beside the question. The fragment is the thread.
 */
type State = { messages: Message[] } & Record<string, unknown>;

const query = new URL(location.href).searchParams;
const given = JSON.parse(query.get("with") ?? "{}") as Record<string, unknown>;

const asState = (content: string): State => ({ ...given, messages: [{ type: "human", content }] });

function Chat() {
  const [threadId, setThreadId] = useState(location.hash.slice(1) || null);
  const stream = useStream<State, { InterruptType: { question: string; draft: string } }>({
    apiUrl: query.get("api")!,
    assistantId: query.get("assistant")!,
    threadId,
    onThreadId(id) {
      location.hash = id;
      setThreadId(id);
    },
    reconnectOnMount: query.has("rejoin"),
    fetchStateHistory: true,
  });
  const [question, setQuestion] = useState("");
  const { error, interrupt, messages } = stream;
  const questions = messages.filter((message) => message.type === "human");

  return (
    <>
      <header>
        <h1>useStream</h1>
        <p>
          <b id="state">{stream.isThreadLoading ? "loading" : stream.isLoading ? "running" : "idle"}</b>,{" "}
          <span id="history">{stream.history.length}</span> states
        </p>
      </header>
      <main>
        {messages.map((message, place) => (
          <div key={message.id ?? place} className={`message ${message.type}`}>
            <span className="text">{String(message.content)}</span>
            <Branches {...{ stream, message, place }} />
          </div>
        ))}
      </main>
      <pre id="log">{JSON.stringify(stream.values.log)}</pre>
      {interrupt && (
        <p id="interrupt">
          {interrupt.value?.question}{" "}
          <button type="button" onClick={() => void stream.submit(undefined, { command: { resume: "approve" } })}>
            Approve
          </button>
        </p>
      )}
      {error !== undefined && (
        <p id="error">{error instanceof Error ? `${error.name}: ${error.message}` : String(error)}</p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void stream.submit(asState(question));
        }}
      >
        <input aria-label="Question" value={question} onChange={(event) => setQuestion(event.target.value)} />
        <button type="submit">Send</button>
        <button type="button" onClick={() => void stream.stop()}>
          Stop
        </button>
        <button type="button" onClick={() => void stream.submit(null, { checkpoint: null })}>
          Go on
        </button>
        <button
          type="button"
          onClick={() => {
            const last = questions.at(-1)!;
            const before = stream.getMessagesMetadata(last)?.firstSeenState?.parent_checkpoint;
            void stream.submit(asState(question), { checkpoint: before });
          }}
        >
          Ask differently
        </button>
      </form>
    </>
  );
}

type Stream = ReturnType<typeof useStream<State>>;

/** Which of a message's versions is shown, and the way to the others. */
function Branches({ stream, message, place }: { stream: Stream; message: Message; place: number }) {
  const { branch, branchOptions } = stream.getMessagesMetadata(message, place) ?? {};
  if (!branch || !branchOptions || branchOptions.length < 2) return null;
  const at = branchOptions.indexOf(branch);
  return (
    <span className="branches">
      {at + 1} of {branchOptions.length}
      {branchOptions.map((option, number) => (
        <button key={option} type="button" onClick={() => stream.setBranch(option)}>
          Version {number + 1}
        </button>
      ))}
    </span>
  );
}

/** Each text that the newest message has had, so that a test sees every token come, once. */
const texts: string[] = [];
Object.assign(globalThis, { texts });
new MutationObserver(() => {
  const text = [...document.querySelectorAll(".message.ai .text")].at(-1)?.textContent ?? "";
  if (texts.at(-1) !== text) texts.push(text);
}).observe(document, { subtree: true, childList: true, characterData: true });

createRoot(document.getElementById("root")!).render(<Chat />);
