import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { machineMs, openLedger } from "../../../test/faults/ledger.ts";

/** Puts out an event with its time every so often, so many times or until the file is there, and listens to its signal. */
const State = Annotation.Root({
  events: Annotation<number>(),
  everyMs: Annotation<number>(),
  untilFile: Annotation<string>({ reducer: (_, next) => next, default: () => "" }),
});

const write = openLedger(process.env.BENCH_LEDGER!);

async function pace({ events, everyMs, untilFile }: typeof State.State, config: LangGraphRunnableConfig) {
  const { run_id: run, thread_id: thread } = config.configurable as { run_id: string; thread_id: string };
  const line = { thread, run, work: "", step: 0, node: "pace", call: "" };
  write({ kind: "begin", ...line });
  let done = false;
  try {
    for (let i = 0; i < events && !(untilFile !== "" && existsSync(untilFile)); i += 1) {
      config.writer?.({ at: machineMs(), pid: process.pid });
      await sleep(everyMs, undefined, { signal: config.signal });
    }
    done = true;
    return {};
  } finally {
    write({ kind: "end", ...line, done });
  }
}

export const graph = new StateGraph(State).addNode("pace", pace).addEdge(START, "pace").addEdge("pace", END).compile();
