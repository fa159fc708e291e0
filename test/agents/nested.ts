import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate, type Manner } from "./gate.ts";

/** Two branches side by side, one of which is a subgraph with two steps, and a join. Each step waits at its gate. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  manners: Annotation<Record<string, Manner>>({ reducer: (_, next) => next, default: () => ({}) }),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const step =
  (name: string) =>
  async ({ dir, manners }: typeof State.State, config: LangGraphRunnableConfig) => {
    await gate(dir, name, manners[name] ?? "polite", config.signal);
    return { log: [name] };
  };

const inner = new StateGraph(State)
  .addNode("one", step("one"))
  .addNode("two", step("two"))
  .addEdge(START, "one")
  .addEdge("one", "two")
  .addEdge("two", END)
  .compile();

async function sub(state: typeof State.State, config: LangGraphRunnableConfig) {
  const { log } = await inner.invoke({ ...state, log: [] }, config);
  return { log };
}

export const graph = new StateGraph(State)
  .addNode("left", step("left"))
  .addNode("sub", sub)
  .addNode("join", step("join"))
  .addEdge(START, "left")
  .addEdge(START, "sub")
  .addEdge(["left", "sub"], "join")
  .addEdge("join", END)
  .compile();
