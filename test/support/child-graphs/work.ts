import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SimpleChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage } from "@langchain/core/messages";
import { Runnable, RunnableLambda } from "@langchain/core/runnables";
import { StructuredTool, tool } from "@langchain/core/tools";
import {
  Annotation,
  entrypoint,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  START,
  StateGraph,
  task,
} from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { z } from "zod";

/** Graphs whose node functions say in a file when they begin and when they have settled. */
const State = Annotation.Root({ file: Annotation<string>(), ms: Annotation<number>() });
type Input = typeof State.State;

async function work(name: string, { file, ms }: Input, signal?: AbortSignal): Promise<Partial<Input>> {
  appendFileSync(file, `started ${name}\n`);
  try {
    await sleep(ms, undefined, { signal });
    return {};
  } finally {
    appendFileSync(file, `settled ${name}\n`);
  }
}

const deafNode = (name: string) => (input: Input) => work(name, input);

export const deaf = new StateGraph(State).addNode("deaf", deafNode("deaf")).addEdge(START, "deaf").compile();

export const cooperative = new StateGraph(State)
  .addNode("listens", (input: Input, config: LangGraphRunnableConfig) => work("listens", input, config.signal))
  .addEdge(START, "listens")
  .compile();

export const parallel = new StateGraph(State)
  .addNode("a", deafNode("a"))
  .addNode("b", (input: Input) => work("b", { ...input, ms: input.ms * 2 }))
  .addNode("c", (input: Input, config: LangGraphRunnableConfig) => work("c", input, config.signal))
  .addEdge(START, "a")
  .addEdge(START, "b")
  .addEdge(START, "c")
  .compile();

/** One branch fails at once, the other goes on behind the stream's error. */
export const failing = new StateGraph(State)
  .addNode("fails", async ({ file }: Input) => {
    while (!(await import("node:fs")).readFileSync(file, "utf8").includes("started")) await sleep(1);
    throw new TypeError("no good");
  })
  .addNode("goesOn", deafNode("goesOn"))
  .addEdge(START, "fails")
  .addEdge(START, "goesOn")
  .compile();

export const subgraph = new StateGraph(State).addNode("inner", deaf).addEdge(START, "inner").compile();

export const closure = new StateGraph(State)
  .addNode("calls", async (input: Input) => {
    await deaf.invoke(input);
    return {};
  })
  .addEdge(START, "calls")
  .compile();

const deafTask = task("deafTask", (input: Input) => work("task", input));
export const functional = entrypoint("functional", async (input: Input) => {
  await deafTask(input);
  return {};
});

export const lambda = new StateGraph(State)
  .addNode("lambda", RunnableLambda.from(deafNode("lambda")))
  .addEdge(START, "lambda")
  .compile();

class DeafRunnable extends Runnable<Input, Partial<Input>> {
  lc_namespace = ["test"];
  override invoke(input: Input): Promise<Partial<Input>> {
    return work("runnable", input);
  }
}
export const runnable = new StateGraph(State)
  .addNode("runnable", new DeafRunnable())
  .addEdge(START, "runnable")
  .compile();

/** Tools made by `tool()` are abandoned one level below the node. */
const deafTool = tool((input: Input) => work("tool", input).then(() => "done"), {
  name: "deaf_tool",
  schema: z.object({ file: z.string(), ms: z.number() }),
});
export const tools = new StateGraph(Annotation.Root({ ...State.spec, ...MessagesAnnotation.spec }))
  .addNode("ask", ({ file, ms }) => ({
    messages: [new AIMessage({ content: "", tool_calls: [{ id: "1", name: "deaf_tool", args: { file, ms } }] })],
  }))
  .addNode("tools", new ToolNode([deafTool]))
  .addEdge(START, "ask")
  .addEdge("ask", "tools")
  .compile();

/** A tool as a class that is still at work when its neighbour has failed. */
class DeafTool extends StructuredTool {
  name = "deaf_class";
  description = "";
  schema = z.object({ file: z.string(), ms: z.number() });
  protected override async _call(input: Input) {
    await work("class", input);
    return "done";
  }
}
const politeTool = tool((input: Input, config) => work("polite", input, config.signal).then(() => "done"), {
  name: "polite_tool",
  schema: z.object({ file: z.string(), ms: z.number() }),
});
export const toolClass = new StateGraph(Annotation.Root({ ...State.spec, ...MessagesAnnotation.spec }))
  .addNode("ask", ({ file, ms }) => {
    const calls = ["polite_tool", "deaf_class"].map((name) => ({ id: name, name, args: { file, ms } }));
    return { messages: [new AIMessage({ content: "", tool_calls: calls })] };
  })
  .addNode("tools", new ToolNode([politeTool, new DeafTool()], { handleToolErrors: false }))
  .addEdge(START, "ask")
  .addEdge("ask", "tools")
  .compile();

/** A model at the end of a chain, which abandons it. */
class DeafModel extends SimpleChatModel {
  readonly #input: Input;
  constructor(input: Input) {
    super({});
    this.#input = input;
  }
  override _llmType() {
    return "deaf";
  }
  override async _call() {
    await work("model", this.#input);
    return "done";
  }
}
export const chain = new StateGraph(State)
  .addNode("chain", async (input: Input) => {
    await RunnableLambda.from(() => "question")
      .pipe(new DeafModel(input))
      .pipe(() => "answer")
      .invoke("");
    return {};
  })
  .addEdge(START, "chain")
  .compile();

/** A node that outlives its own time limit. */
export const timedOut = new StateGraph(State)
  .addNode("slow", deafNode("slow"), { timeout: 50 })
  .addEdge(START, "slow")
  .compile();

/** Goes on to other work when it should have stopped. */
export const stubborn = new StateGraph(State)
  .addNode("goesOn", async (input: Input) => {
    await work("first", input);
    await deaf.invoke(input);
    return {};
  })
  .addEdge(START, "goesOn")
  .compile();

export const busy = new StateGraph(State)
  .addNode("busy", ({ file, ms }: Input) => {
    appendFileSync(file, "started busy\n");
    for (const end = Date.now() + ms; Date.now() < end; );
    return {};
  })
  .addEdge(START, "busy")
  .compile();
