import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

/** Tells what its process knows of the environment. */
const State = Annotation.Root({ variables: Annotation<Record<string, string | undefined>>() });

const look = () => ({ variables: { ...process.env } });

export const graph = new StateGraph(State).addNode("look", look).addEdge(START, "look").addEdge("look", END).compile();
