import { Annotation, END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/**
 * A subgraph that the graph knows of, as a node of it: two steps with a question between them. Nothing is logged before it,
 * since it would return what it was given once more.
 */
const State = Annotation.Root({
  dir: Annotation<string>(),
  /** Whether the subgraph asks. */
  asks: Annotation<boolean>({ reducer: (_, next) => next, default: () => false }),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const step =
  (name: string) =>
  async ({ dir }: typeof State.State, config: LangGraphRunnableConfig) => {
    await gate(dir, name, "polite", config.signal);
    return { log: [name] };
  };

const Inner = Annotation.Root({
  ...State.spec,
  /** Of the subgraph alone. */
  path: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const inner = new StateGraph(Inner)
  .addNode("one", async (state, config) => ({ path: (await step("one")(state, config)).log }))
  .addNode("question", ({ asks }) => ({ path: asks ? [`answer=${interrupt({ question: "inside" })}`] : [] }))
  .addNode("two", async (state, config) => {
    const [two] = (await step("two")(state, config)).log;
    return { path: [two!], log: [`sub(${[...state.path, two].join(",")})`] };
  })
  .addEdge(START, "one")
  .addEdge("one", "question")
  .addEdge("question", "two")
  .addEdge("two", END)
  .compile();

export const graph = new StateGraph(State)
  .addNode("begin", () => ({}))
  .addNode("sub", inner)
  .addNode("end", step("end"))
  .addEdge(START, "begin")
  .addEdge("begin", "sub")
  .addEdge("sub", "end")
  .addEdge("end", END)
  .compile();
