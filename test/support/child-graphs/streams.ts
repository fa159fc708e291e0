import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { Annotation, type LangGraphRunnableConfig, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { getLogger } from "@langchain/langgraph-sdk/logging";
import { z } from "zod";

const model = new FakeListChatModel({ responses: ["hello"] });

/** A streaming model, then a message made by hand, with custom output between. */
const talk = async (state: typeof MessagesAnnotation.State, config: LangGraphRunnableConfig) => {
  config.writer?.({ says: "soon" });
  return { messages: [await model.invoke(state.messages)] };
};

export const chat = new StateGraph(MessagesAnnotation)
  .addNode("talk", talk)
  .addNode("close", () => ({ messages: [new AIMessage({ id: "closing", content: "bye" })] }))
  .addEdge(START, "talk")
  .addEdge("talk", "close")
  .compile();

export const nested = new StateGraph(MessagesAnnotation).addNode("inner", chat).addEdge(START, "inner").compile();

/** Asks for the logger while the file is loaded, as graphs for LangGraph's servers do. */
const log = getLogger();

export const logging = new StateGraph(Annotation.Root({ name: Annotation<string>() }))
  .addNode("say", ({ name }: { name: string }) => {
    log.info(`info of ${name}`, { place: 1 }).error("error of", new RangeError(name));
    getLogger().debug({ name });
    return {};
  })
  .addEdge(START, "say")
  .compile();

const weather = tool(({ city }: { city: string }) => `sunny in ${city}`, {
  name: "weather",
  description: "Tells the weather.",
  schema: z.object({ city: z.string() }),
});

export const tools = new StateGraph(Annotation.Root({ city: Annotation<string>(), said: Annotation<string>() }))
  .addNode("call", async ({ city }: { city: string }, config: LangGraphRunnableConfig) => {
    const call = { type: "tool_call", id: "call-1", name: "weather", args: { city } } as const;
    return { said: String((await weather.invoke(call, config)).content) };
  })
  .addEdge(START, "call")
  .compile();

/** Values that JSON does not know, as custom output and in the state. */
export const odd = new StateGraph(Annotation.Root({ odd: Annotation<unknown>() }))
  .addNode("write", (_: unknown, config: LangGraphRunnableConfig) => {
    const cycle: Record<string, unknown> = { name: "cycle" };
    cycle.self = cycle;
    config.writer?.(cycle);
    config.writer?.({ big: 12345678901234567890n, call: () => 1, none: undefined, list: [undefined, Symbol("s")] });
    config.writer?.({ error: new TypeError("bad"), map: new Map([["a", 1]]), set: new Set([1]), at: new Date(0) });
    config.writer?.({ bytes: new Uint8Array([1, 2, 3]), message: new HumanMessage({ id: "h", content: "hi" }) });
    config.writer?.({
      get trap() {
        throw new Error("hands off");
      },
    });
    config.writer?.(undefined);
    return {};
  })
  .addEdge(START, "write")
  .compile();

/** Writes `count` events of `size` characters in as many steps of `perStep`. */
const Flood = Annotation.Root({
  count: Annotation<number>(),
  perStep: Annotation<number>(),
  size: Annotation<number>(),
  done: Annotation<number>({ reducer: (before, more) => before + more, default: () => 0 }),
});
export const flood = new StateGraph(Flood)
  .addNode("write", ({ perStep, size, done }: typeof Flood.State, config: LangGraphRunnableConfig) => {
    for (let i = 0; i < perStep; i++) config.writer?.({ number: done + i, padding: "x".repeat(size) });
    return { done: perStep };
  })
  .addEdge(START, "write")
  .addConditionalEdges("write", ({ count, done }) => (done < count ? "write" : "__end__"))
  .compile();

/** Rejections that nobody waits for, and lines on the console. */
export const careless = new StateGraph(Annotation.Root({ name: Annotation<string>(), how: Annotation<string>() }))
  .addNode("slip", async ({ name, how }: { name: string; how: string }) => {
    console.log(`first of ${name}\nsecond of ${name}`);
    process.stderr.write(`no end of line from ${name}`);
    if (how === "rejects") void Promise.reject(new RangeError(`slip of ${name}`));
    if (how === "throws")
      setTimeout(() => {
        throw new RangeError(`throw of ${name}`);
      });
    await new Promise((resolve) => setTimeout(resolve, 50));
    return {};
  })
  .addEdge(START, "slip")
  .compile();
