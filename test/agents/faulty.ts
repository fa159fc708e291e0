import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { gate } from "./gate.ts";

/** Fails in the way that its input names, after a first step that succeeds. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  fault: Annotation<"throw" | "exit" | "uncaught" | "unhandled" | "none">(),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

async function fail({ dir, fault }: typeof State.State, config: LangGraphRunnableConfig) {
  appendFileSync(join(dir, "faults"), `${fault} ${process.pid}\n`);
  if (fault === "throw") throw new RangeError("this step always fails");
  if (fault === "exit") process.exit(7);
  if (fault === "uncaught") {
    setImmediate(() => {
      throw new TypeError("nobody catches this");
    });
  }
  if (fault === "unhandled") void Promise.reject(new TypeError("nobody awaits this"));
  await gate(dir, "fail", "polite", config.signal);
  return { log: ["fail"] };
}

export const graph = new StateGraph(State)
  .addNode("before", () => ({ log: ["before"] }))
  .addNode("fail", fail)
  .addEdge(START, "before")
  .addEdge("before", "fail")
  .addEdge("fail", END)
  .compile();
