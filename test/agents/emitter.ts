import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/** Writes numbered custom events, half of them before its gate and half after it. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  count: Annotation<number>(),
  /** Bytes of padding in each event. */
  padding: Annotation<number>({ reducer: (_, next) => next, default: () => 0 }),
  sum: Annotation<number>(),
});

const emit = async (state: typeof State.State, config: LangGraphRunnableConfig, from: number, to: number) => {
  for (let i = from; i < to; i += 1) {
    config.writer?.({ i, padding: "x".repeat(state.padding) });
    // Lets what was written go out, as a node does that awaits a model.
    if (i % 50 === 0) await new Promise(setImmediate);
  }
};

async function first(state: typeof State.State, config: LangGraphRunnableConfig) {
  await emit(state, config, 0, Math.floor(state.count / 2));
  return {};
}

async function second(state: typeof State.State, config: LangGraphRunnableConfig) {
  await gate(state.dir, "middle", "polite", config.signal);
  await emit(state, config, Math.floor(state.count / 2), state.count);
  return { sum: state.count };
}

export const graph = new StateGraph(State)
  .addNode("first", first)
  .addNode("second", second)
  .addEdge(START, "first")
  .addEdge("first", "second")
  .addEdge("second", END)
  .compile();
