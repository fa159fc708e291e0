import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate, type Manner } from "./gate.ts";

/** Steps in a row, each of which waits at a gate that the test opens. */
const State = Annotation.Root({
  /** Where the gates are. */
  dir: Annotation<string>(),
  steps: Annotation<string[]>({ reducer: (_, next) => next, default: () => ["a", "b", "c"] }),
  /** How a step waits; politely unless said otherwise. */
  manners: Annotation<Record<string, Manner>>({ reducer: (_, next) => next, default: () => ({}) }),
  /** The steps that have been completed, over all runs of the thread. */
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
  /** How many of `steps` this run has completed. */
  done: Annotation<number>({ reducer: (_, next) => next, default: () => 0 }),
});

const begin = () => ({ done: 0 });

async function step({ dir, steps, manners, done }: typeof State.State, config: LangGraphRunnableConfig) {
  const name = steps[done]!;
  await gate(dir, name, manners[name] ?? "polite", config.signal);
  return { log: [name], done: done + 1 };
}

export const graph = new StateGraph(State)
  .addNode("begin", begin)
  .addNode("step", step)
  .addEdge(START, "begin")
  .addEdge("begin", "step")
  .addConditionalEdges("step", ({ steps, done }) => (done < steps.length ? "step" : END), ["step", END])
  .compile();
