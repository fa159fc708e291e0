import { AIMessage } from "@langchain/core/messages";
import { Annotation, Command, END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { FakeModel } from "./fake-model.ts";

/**
 * A human in the loop: the run pauses in `review` and ends as a success, its thread waits with the question. A second run with
 * the command {"resume": "approve"} (or any other text, which is taken for a wish) goes on from there.
 */
const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  draft: Annotation<string>(),
  /** What the human wished to be changed. */
  wishes: Annotation<string[]>({ reducer: (before, wish) => [...before, ...wish], default: () => [] }),
  delay_ms: Annotation<number>({ reducer: (_, next) => next, default: () => 30 }),
});

async function write({ messages, wishes, delay_ms }: typeof State.State) {
  const changes = wishes.length === 0 ? "" : ` (${wishes.join("; ")})`;
  const text = `Dear team, we will ship on Friday${changes}. Kind regards.`;
  const message = await new FakeModel({ text }, delay_ms).invoke(messages);
  return { draft: message.text, messages: [message] };
}

function review({ draft }: typeof State.State) {
  // The first call ends the run here; after the resume the node runs again and the call returns the answer.
  const answer = interrupt<{ question: string; draft: string }, string>({ question: "May this be sent?", draft });
  return answer === "approve"
    ? new Command({ goto: "send" })
    : new Command({ goto: "write", update: { wishes: [answer] } });
}

function send({ draft }: typeof State.State) {
  return { messages: [new AIMessage(`Sent: ${draft}`)] };
}

export const graph = new StateGraph(State)
  .addNode("write", write)
  .addNode("review", review, { ends: ["write", "send"] })
  .addNode("send", send)
  .addEdge(START, "write")
  .addEdge("write", "review")
  .addEdge("send", END)
  .compile();
