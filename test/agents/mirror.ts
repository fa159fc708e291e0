import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/** Puts into its state what its nodes are given; with a `dir` in its input it first waits at a gate. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  seen: Annotation<object>(),
});

async function look({ dir }: typeof State.State, config: LangGraphRunnableConfig) {
  if (dir !== undefined) await gate(dir, "look", "polite", config.signal);
  const { configurable = {}, metadata = {}, tags, recursionLimit, context } = config;
  const shown = Object.entries(configurable).filter(([name]) => !name.startsWith("__"));
  return { seen: { configurable: Object.fromEntries(shown), metadata, tags, recursionLimit, context } };
}

export const graph = new StateGraph(State).addNode("look", look).addEdge(START, "look").addEdge("look", END).compile();
