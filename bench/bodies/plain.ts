import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

/** Keeps what it is given, and does nothing. */
const State = Annotation.Root({ messages: Annotation<unknown[]>(), a: Annotation<unknown>() });

export const graph = new StateGraph(State)
  .addNode("nothing", () => ({}))
  .addEdge(START, "nothing")
  .addEdge("nothing", END)
  .compile();
