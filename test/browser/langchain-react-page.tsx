/// <reference lib="dom" />
import { HumanMessage } from "@langchain/core/messages";
import { useStream } from "@langchain/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

/**
 * A conversation as people build it with `@langchain/react`, which speaks LangChain's streaming protocol. The query says with
 * whom: `api`, `assistant`, and `with` for what goes into the state beside the question. The fragment is the thread.
 */
type State = { messages: HumanMessage[] } & Record<string, unknown>;

const query = new URL(location.href).searchParams;
const given = JSON.parse(query.get("with") ?? "{}") as Record<string, unknown>;

function Chat() {
  const [threadId, setThreadId] = useState(location.hash.slice(1) || undefined);
  const stream = useStream<State, { question: string; draft: string }>({
    apiUrl: query.get("api")!,
    assistantId: query.get("assistant")!,
    threadId,
    onThreadId(id) {
      location.hash = id;
      setThreadId(id);
    },
  });
  const [question, setQuestion] = useState("");
  const { error, interrupt, messages } = stream;
  const lastQuestion = messages.findLast((message) => message.getType() === "human");
  /** The checkpoint before the last question came: useMessageMetadata of 1.1.0 has that of the newest step instead. */
  const beforeQuestion = async () => {
    const states = await stream.client.threads.getHistory<State>(threadId!);
    const first = states.findLast(({ values }) => values.messages?.some(({ id }) => id === lastQuestion!.id));
    return first!.parent_checkpoint!.checkpoint_id!;
  };
  const submit = (options?: { forkFrom: string }) =>
    void stream.submit({ ...given, messages: [new HumanMessage(question)] }, options);

  return (
    <>
      <header>
        <h1>@langchain/react</h1>
        <p>
          <b id="state">{stream.isThreadLoading ? "loading" : stream.isLoading ? "running" : "idle"}</b>,{" "}
          <span id="subgraphs">{[...stream.subgraphs.values()].map(({ nodeName }) => nodeName).join(" ")}</span>
        </p>
      </header>
      <main>
        {messages.map((message, place) => (
          <div key={message.id ?? place} className={`message ${message.getType()}`}>
            <span className="text">{message.text}</span>
          </div>
        ))}
      </main>
      <pre id="log">{JSON.stringify(stream.values.log)}</pre>
      {interrupt && (
        <p id="interrupt">
          {interrupt.value?.question}{" "}
          <button type="button" onClick={() => void stream.respond("approve", { interruptId: interrupt.id! })}>
            Approve
          </button>
        </p>
      )}
      {error !== undefined && <p id="error">{String(error)}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <input aria-label="Question" value={question} onChange={(event) => setQuestion(event.target.value)} />
        <button type="submit">Send</button>
        <button type="button" onClick={() => void stream.stop()}>
          Stop
        </button>
        <button type="button" onClick={() => void stream.submit(null)}>
          Go on
        </button>
        <button type="button" onClick={async () => submit({ forkFrom: await beforeQuestion() })}>
          Ask differently
        </button>
      </form>
    </>
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
