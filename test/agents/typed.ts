import { END, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";

/** Described with zod: its state, its input and output, and the context that it needs. */
const State = z.object({ question: z.string(), tries: z.number().default(1), answer: z.string().optional() });

export const graph = new StateGraph({
  state: State,
  input: z.object({ question: z.string() }),
  output: z.object({ answer: z.string() }),
  context: z.object({ tone: z.string() }),
})
  .addNode("say", ({ question }, { context }) => ({ answer: `${question} (${context?.tone})` }))
  .addEdge(START, "say")
  .addEdge("say", END)
  .compile();
