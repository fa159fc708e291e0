import { Annotation, END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/** Two questions side by side, or one beside a step that waits at its gate; with both answers it works at another gate. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  /** The right one works instead of asking. */
  works: Annotation<boolean>({ reducer: (_, next) => next, default: () => false }),
  answers: Annotation<Record<string, string>>({
    reducer: (before, more) => ({ ...before, ...more }),
    default: () => ({}),
  }),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const ask = (question: string) => () => ({ answers: { [question]: interrupt({ question }) as string } });

async function right({ dir, works }: typeof State.State, config: LangGraphRunnableConfig) {
  if (!works) return ask("right")();
  await gate(dir, "right", "polite", config.signal);
  return { answers: { right: "worked" } };
}

async function work({ dir, answers }: typeof State.State, config: LangGraphRunnableConfig) {
  await gate(dir, "work", "polite", config.signal);
  return { log: [`${answers.left} and ${answers.right}`] };
}

export const graph = new StateGraph(State)
  .addNode("left", ask("left"))
  .addNode("right", right)
  .addNode("work", work)
  .addEdge(START, "left")
  .addEdge(START, "right")
  .addEdge(["left", "right"], "work")
  .addEdge("work", END)
  .compile();
