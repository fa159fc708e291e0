import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import {
  Annotation,
  END,
  entrypoint,
  interrupt,
  type LangGraphRunnableConfig,
  START,
  StateGraph,
  task,
} from "@langchain/langgraph";
import { createAgent, tool } from "langchain";
import { z } from "zod";
import { gate } from "./gate.ts";

/** Graphs that ask "first" and, after an answer, "second", each in another way; then they log both answers. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  /** What a step does between its two questions, or after its only one. */
  after: Annotation<"throw" | "wait">(),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});
type Values = typeof State.State;

const both = () => `${interrupt("first")}+${interrupt("second")}`;
const askBoth = () => ({ log: [both()] });
const single = (node: (state: Values, config: LangGraphRunnableConfig) => object) =>
  new StateGraph(State).addNode("ask", node).addEdge(START, "ask").addEdge("ask", END);

export const twice = single(askBoth).compile();

/** Asks until the answer is B. */
export const loop = single(() => {
  const answers: string[] = [];
  while (answers.at(-1) !== "B") answers.push(interrupt(answers.length === 0 ? "first" : "second"));
  return { log: [answers.join("+")] };
}).compile();

/** Beside steps that are done at once, one of them with nothing to show for it. */
export const beside = single(askBoth)
  .addNode("silent", () => ({}))
  .addNode("loud", () => ({ log: ["loud"] }))
  .addEdge(START, "silent")
  .addEdge(START, "loud")
  .compile();

export const inside = single(askBoth).addNode("sub", single(askBoth).compile()).addEdge("ask", "sub").compile();

const ask = task("ask", async (question: string) => interrupt(question) as string);
export const functional = entrypoint("functional", async (_: object) => ({
  log: [`${await ask("first")}+${await ask("second")}`],
}));
export const body = entrypoint("body", async (_: object) => ({ log: [both()] }));

class OneTool extends FakeListChatModel {
  override bindTools() {
    return this as never;
  }

  override async _generate(messages: BaseMessage[]) {
    const isDone = messages.some((message) => message.getType() === "tool");
    const message = isDone
      ? new AIMessage("done")
      : new AIMessage({ content: "", tool_calls: [{ id: "call-1", name: "approve", args: {} }] });
    return { generations: [{ text: message.text, message }] };
  }
}
const approve = tool(async () => both(), { name: "approve", description: "Asks twice.", schema: z.object({}) });
export const agent = createAgent({ model: new OneTool({ responses: [] }), tools: [approve] });

/** Asks once; when it has its answer it fails, or waits at its gate. */
export const once = single(async ({ dir, after }, config) => {
  const answer = interrupt("first");
  if (after === "throw") throw new RangeError("of no use");
  await gate(dir, "ask", "polite", config.signal);
  return { log: [answer] };
}).compile();
