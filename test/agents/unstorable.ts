import { Annotation, interrupt, Send, START, StateGraph } from "@langchain/langgraph";

/** Graphs that hand on what has no form in JSON. */
const State = Annotation.Root({
  count: Annotation<unknown>(),
  log: Annotation<string[]>({ reducer: (before, more) => [...before, ...more], default: () => [] }),
});

/** Asks with it, after a step that is stored. */
export const asks = new StateGraph(State)
  .addNode("begin", () => ({ log: ["begun"] }))
  .addNode("ask", () => ({ log: [`${interrupt({ count: 1n })}`] }))
  .addEdge(START, "begin")
  .addEdge("begin", "ask")
  .compile();

/** Sends it to a node, after a step that is stored. */
export const sends = new StateGraph(State)
  .addNode("begin", () => ({ log: ["begun"] }))
  .addNode("choose", () => ({}))
  .addNode("take", ({ count }) => ({ log: [`took ${count}`] }))
  .addEdge(START, "begin")
  .addEdge("begin", "choose")
  .addConditionalEdges("choose", () => [new Send("take", { count: 1n })], ["take"])
  .compile();
