import {
  Annotation,
  END,
  interrupt,
  type LangGraphRunnableConfig,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { gate } from "./gate.ts";

/**
 * What a plan is made of: a step; three branches side by side; a subgraph of two steps; a question; one in a subgraph; a
 * question, a step and a wait side by side; a wait until the test opens the gate.
 */
export const ops = ["step", "fan", "sub", "ask", "subAsk", "mixed", "wait"] as const;
export type Op = (typeof ops)[number];

/** Does what the plan in its input says, one entry after the other, so that each plan is a graph of its own. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  plan: Annotation<Op[]>(),
  at: Annotation<number>(),
  place: Annotation<string>(),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});
type Values = typeof State.State;

const done = ({ at }: Values, line: string) => ({ at: at + 1, log: [`${at} ${line}`] });
const branches = (state: Values, nodes: readonly string[]) =>
  nodes.map((node, i) => new Send(node, { ...state, place: `${node} ${i}` }));

function route(state: Values) {
  const op = state.plan[state.at];
  if (op === undefined) return END;
  if (op === "fan") return branches(state, ["branch", "branch", "branch"]);
  if (op === "mixed") return branches(state, ["branch", "branchAsks", "branchWaits"]);
  return op;
}

const wait = ({ dir }: Values, config: LangGraphRunnableConfig) => gate(dir, "wait", "polite", config.signal);
const line = ({ at, place }: Values) => ({ log: [`${at} ${place}`] });

const subgraph = (asks: boolean) =>
  new StateGraph(State)
    .addNode("one", ({ at }) => ({ log: [`${at} one`] }))
    .addNode("two", (state) => done(state, asks ? `two ${interrupt(`subAsk ${state.at}`)}` : "two"))
    .addEdge(START, "one")
    .addEdge("one", "two")
    .addEdge("two", END)
    .compile();

/** The lines that a subgraph has added come back from it. */
const within = (asks: boolean) => {
  const inner = subgraph(asks);
  return async (state: Values, config: LangGraphRunnableConfig) => {
    const { at, log } = await inner.invoke({ ...state, log: [] }, config);
    return { at, log };
  };
};

export const graph = new StateGraph(State)
  .addNode("step", (state) => done(state, "step"))
  .addNode("branch", line)
  .addNode("branchAsks", (state) => ({ log: [`${state.at} ${interrupt(`mixed ${state.at}`)}`] }))
  .addNode("branchWaits", async (state, config) => {
    await wait(state, config);
    return line(state);
  })
  .addNode("joined", (state) => done(state, "joined"))
  .addNode("sub", within(false))
  .addNode("subAsk", within(true))
  .addNode("ask", (state) => done(state, `${interrupt(`ask ${state.at}`)}`))
  .addNode("wait", async (state, config) => {
    await wait(state, config);
    return done(state, "wait");
  })
  .addConditionalEdges(START, route)
  .addEdge("branch", "joined")
  .addEdge("branchAsks", "joined")
  .addEdge("branchWaits", "joined")
  .addConditionalEdges("step", route)
  .addConditionalEdges("joined", route)
  .addConditionalEdges("sub", route)
  .addConditionalEdges("subAsk", route)
  .addConditionalEdges("ask", route)
  .addConditionalEdges("wait", route)
  .compile();
