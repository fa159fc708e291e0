import { setTimeout as sleep } from "node:timers/promises";
import type { AIMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { Annotation, END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { z } from "zod";
import { FakeModel, type Reply } from "./fake-model.ts";

/**
 * An assistant in the usual shape: a model that either calls a tool or answers, and a node that runs the tools. With its
 * defaults it takes some six seconds. Input: {"messages": [{"role": "user", "content": "..."}], "steps": 3, "delay_ms": 60}.
 */
const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  /** How often a tool is used before the answer. */
  steps: Annotation<number>({ reducer: (_, next) => next, default: () => 3 }),
  /** Between two words of the model; a tool takes twelve times as long. */
  delay_ms: Annotation<number>({ reducer: (_, next) => next, default: () => 60 }),
});

const lookUp = tool(
  async ({ topic, pause_ms }, config) => {
    // The signal ends the wait at once when the run is stopped.
    await sleep(pause_ms, undefined, { signal: config.signal });
    return `Notes on ${topic}: three sources agree, one does not.`;
  },
  {
    name: "look_up",
    description: "Looks a topic up.",
    schema: z.object({ topic: z.string(), pause_ms: z.number() }),
  },
);

function nextReply({ messages, steps, delay_ms }: typeof State.State): Reply {
  const question = messages.findLastIndex((message) => message.getType() === "human");
  const done = messages.slice(question + 1).filter((message) => message.getType() === "tool").length;
  if (done < steps) {
    const topic = `part ${done + 1} of ${steps}`;
    const args = { topic, pause_ms: delay_ms * 12 };
    return { text: `To answer this I first look up ${topic}. `, toolCall: { name: lookUp.name, args } };
  }
  const asked = messages[question]?.text ?? "nothing";
  return {
    text:
      `You asked: "${asked}". I have read ${steps} notes on it. Most sources agree with each other, and the one that does ` +
      "not is older than the rest. So the short answer is yes, with some care.",
  };
}

async function model(state: typeof State.State) {
  return { messages: [await new FakeModel(nextReply(state), state.delay_ms).invoke(state.messages)] };
}

function toolsOrEnd({ messages }: typeof State.State) {
  return (messages.at(-1) as AIMessage).tool_calls?.length ? "tools" : END;
}

export const graph = new StateGraph(State)
  .addNode("model", model)
  .addNode("tools", new ToolNode([lookUp]))
  .addEdge(START, "model")
  .addConditionalEdges("model", toolsOrEnd, ["tools", END])
  .addEdge("tools", "model")
  .compile();
