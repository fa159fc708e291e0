import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Annotation, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

/** Steps that say in the state, and in a file, that they were taken. */
const State = Annotation.Root({
  file: Annotation<string>(),
  ms: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const step =
  (name: string) =>
  async ({ file, ms }: typeof State.State, config: LangGraphRunnableConfig) => {
    appendFileSync(file, `${name}\n`);
    await sleep(ms, undefined, { signal: config.signal });
    return { log: [name] };
  };

export const line = new StateGraph(State)
  .addNode("a", step("a"))
  .addNode("b", step("b"))
  .addNode("c", step("c"))
  .addEdge(START, "a")
  .addEdge("a", "b")
  .addEdge("b", "c")
  .compile();

export const inSubgraph = new StateGraph(State)
  .addNode("before", step("before"))
  .addNode(
    "sub",
    new StateGraph(State)
      .addNode("x", async (state: typeof State.State, config: LangGraphRunnableConfig) => ({
        log: state.log.slice(state.log.length).concat((await step("x")(state, config)).log),
      }))
      .addNode("y", step("y"))
      .addEdge(START, "x")
      .addEdge("x", "y")
      .compile(),
  )
  .addEdge(START, "before")
  .addEdge("before", "sub")
  .compile();

export const asks = new StateGraph(State)
  .addNode("ask", () => ({ log: [interrupt({ question: "why?" }) as string] }))
  .addEdge(START, "ask")
  .compile();

export const fails = new StateGraph(State)
  .addNode("first", step("first"))
  .addNode("fail", () => {
    throw new (class Boom extends Error {})("failing at step 1");
  })
  .addEdge(START, "first")
  .addEdge("first", "fail")
  .compile();
