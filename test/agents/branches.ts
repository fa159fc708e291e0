import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate, type Manner } from "./gate.ts";

/** A first step, then side by side a subgraph of two polite steps and a step that waits in the manner that its input names. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  manner: Annotation<Manner>({ reducer: (_, next) => next, default: () => "polite" }),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const step =
  (name: string) =>
  async ({ dir }: typeof State.State, config: LangGraphRunnableConfig) => {
    await gate(dir, name, "polite", config.signal);
    return { log: [name] };
  };

const inner = new StateGraph(State)
  .addNode("one", step("one"))
  .addNode("two", step("two"))
  .addEdge(START, "one")
  .addEdge("one", "two")
  .addEdge("two", END)
  .compile();

async function chain(state: typeof State.State, config: LangGraphRunnableConfig) {
  const { log } = await inner.invoke({ ...state, log: [] }, config);
  return { log };
}

async function side({ dir, manner }: typeof State.State, config: LangGraphRunnableConfig) {
  // A busy loop would stop the chain as well, so it begins when the test says so.
  await gate(dir, "beside", "polite", config.signal);
  await gate(dir, "side", manner, config.signal);
  return { log: ["side"] };
}

export const graph = new StateGraph(State)
  .addNode("begin", () => ({ log: ["begin"] }))
  .addNode("chain", chain)
  .addNode("side", side)
  .addEdge(START, "begin")
  .addEdge("begin", "chain")
  .addEdge("begin", "side")
  .addEdge("chain", END)
  .addEdge("side", END)
  .compile();
