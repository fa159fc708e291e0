import { Annotation, START, StateGraph } from "@langchain/langgraph";

export const plain = new StateGraph(Annotation.Root({ answer: Annotation() }))
  .addNode("say", () => ({ answer: "plain JavaScript" }))
  .addEdge(START, "say")
  .compile();
