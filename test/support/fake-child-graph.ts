import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

/** A graph with one node that behaves as its input says. */
const State = Annotation.Root({ act: Annotation<string>, done: Annotation<boolean> });

async function act(state: typeof State.State, config: LangGraphRunnableConfig): Promise<{ done: boolean }> {
  console.log(`this is ${state.act}`);
  config.writer?.("started");
  await delay(50);
  switch (state.act) {
    case "listen":
      await delay(600_000, undefined, { signal: config.signal });
      break;
    case "deaf":
      spawn("sleep", ["600"]);
      await delay(600_000);
      break;
    case "busy":
      for (;;);
    case "throw":
      setTimeout(() => {
        throw new RangeError("out of the blue");
      });
      await delay(600_000);
      break;
    case "reject":
      void Promise.reject(new RangeError("nobody catches it"));
      break;
  }
  return { done: true };
}

export default new StateGraph(State).addNode("node", act).addEdge(START, "node").addEdge("node", END).compile();
