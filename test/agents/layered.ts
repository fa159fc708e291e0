import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

/** A graph in a graph in a graph. */
const State = Annotation.Root({ words: Annotation<string[]>(), note: Annotation<string>() });
const nothing = () => ({});

const innermost = new StateGraph(State)
  .addNode("deep", nothing)
  .addNode("deeper", nothing)
  .addEdge(START, "deep")
  .addEdge("deep", "deeper")
  .addEdge("deeper", END)
  .compile();

const inner = new StateGraph(State)
  .addNode("prepare", nothing)
  .addNode("core", innermost)
  .addEdge(START, "prepare")
  .addEdge("prepare", "core")
  .addEdge("core", END)
  .compile();

const Input = Annotation.Root({ words: Annotation<string[]>() });
const Output = Annotation.Root({ note: Annotation<string>() });

export const graph = new StateGraph({ stateSchema: State, input: Input, output: Output })
  .addNode("sub", inner)
  .addNode("review", nothing, { metadata: { by: "a person" } })
  .addEdge(START, "sub")
  .addConditionalEdges("sub", () => "fine", { fine: END, odd: "review" })
  .addEdge("review", END)
  .compile();
