import { Annotation, END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/** Asks a question, and after the answer works at a gate named after it; then asks once more. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  answers: Annotation<string[]>({ reducer: (before, more) => [...before, ...more], default: () => [] }),
  log: Annotation<string[]>({ reducer: (before, more) => [...before, ...more], default: () => [] }),
});

const ask = (question: string) => () => {
  const answer: string = interrupt({ question });
  return { answers: [`${question}=${answer}`] };
};

async function work({ dir, answers }: typeof State.State, config: LangGraphRunnableConfig) {
  await gate(dir, "work", "polite", config.signal);
  return { log: [`worked on ${answers.at(-1)}`] };
}

export const graph = new StateGraph(State)
  .addNode("first", ask("first"))
  .addNode("work", work)
  .addNode("second", ask("second"))
  .addEdge(START, "first")
  .addEdge("first", "work")
  .addEdge("work", "second")
  .addEdge("second", END)
  .compile();
