import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ said: Annotation<string>() });

/** A graph with a node that is named by `configurable.node` and says what `context.tone` is; there is no graph without. */
export function graph({ configurable = {}, context }: LangGraphRunnableConfig) {
  const { node, assistant_id: id } = configurable;
  if (typeof node !== "string") throw new Error("configurable.node is missing");
  return new StateGraph(State)
    .addNode(node, () => ({ said: `${node} ${JSON.stringify(context)}` }), { metadata: { id, context } })
    .addEdge(START, node)
    .addEdge(node, END)
    .compile();
}
