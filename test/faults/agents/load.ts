import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Annotation, END, interrupt, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { openLedger } from "../ledger.ts";
import type { Step } from "../plan.ts";

/** Does the steps of its input, and writes into the ledger what it really does and when. */
const State = Annotation.Root({
  work: Annotation<string>(),
  steps: Annotation<Step[]>(),
  at: Annotation<number>(),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});
type Values = typeof State.State;

const beatMs = 20;
const write = openLedger(process.env.FAULTS_LEDGER!);

async function perform(state: Values, config: LangGraphRunnableConfig, node: string): Promise<string> {
  const { manner, ms } = state.steps[state.at]!;
  const { run_id: run, thread_id: thread } = config.configurable as { run_id: string; thread_id: string };
  const line = { thread, run, work: state.work, step: state.at, node, call: randomUUID().slice(0, 8) };
  write({ kind: "begin", ...line });
  let done = false;
  try {
    for (let passed = 0; passed < ms; passed += beatMs) {
      config.writer?.({ work: state.work, step: state.at, node, passed });
      if (manner === "busy") for (const until = performance.now() + beatMs; performance.now() < until; );
      else await sleep(beatMs, undefined, manner === "deaf" ? {} : { signal: config.signal });
      write({ kind: "beat", ...line });
    }
    if (manner === "fails") throw new Error("as planned");
    if (manner === "asks") interrupt({ work: state.work });
    done = true;
    return `${state.work} ${state.at} ${node}`;
  } finally {
    write({ kind: "end", ...line, done });
  }
}

/** A thread whose state was only edited has no steps yet. */
function next({ steps = [], at = 0 }: Partial<Values>) {
  if (at >= steps.length) return END;
  return steps[at]!.manner === "fan" ? ["left", "right"] : "step";
}

const branch = (node: string) => async (state: Values, config: LangGraphRunnableConfig) => ({
  log: [await perform(state, config, node)],
});

export const graph = new StateGraph(State)
  .addNode("step", async (state, config) => ({ at: state.at + 1, log: [await perform(state, config, "step")] }))
  .addNode("left", branch("left"))
  .addNode("right", branch("right"))
  .addNode("joined", ({ at }) => ({ at: at + 1 }))
  .addConditionalEdges(START, next)
  .addConditionalEdges("step", next)
  .addEdge("left", "joined")
  .addEdge("right", "joined")
  .addConditionalEdges("joined", next)
  .compile();
