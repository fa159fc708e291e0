import { Annotation, END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { createReinsClient, toPayload } from "../../src/client/index.ts";
import { gate } from "./gate.ts";

/** A node that creates runs through the API and waits for them; so do these, as deep as it is said. */
const State = Annotation.Root({
  dir: Annotation<string>(),
  /** Where the service is. */
  url: Annotation<string>(),
  /** How many generations of children there are; without children it waits at the gate that `name` names. */
  depth: Annotation<number>(),
  width: Annotation<number>({ reducer: (_, next) => next, default: () => 1 }),
  name: Annotation<string>({ reducer: (_, next) => next, default: () => "run" }),
  independent: Annotation<boolean>({ reducer: (_, next) => next, default: () => false }),
  /** The statuses of the children. */
  statuses: Annotation<number[]>({ reducer: (_, next) => next, default: () => [] }),
});

async function work(
  { dir, url, depth, width, name, independent }: typeof State.State,
  config: LangGraphRunnableConfig,
) {
  const { signal, configurable } = config;
  if (depth === 0) {
    await gate(dir, name, "polite", signal);
    return {};
  }
  const client = createReinsClient({ baseUrl: url });
  const { thread_id: threadId, run_id: runId } = configurable as { thread_id: string; run_id: string };
  const waitForChild = async (index: number) => {
    const { thread } = await client.threads.createThread({});
    const child = { dir, url, depth: depth - 1, width, name: `${name}.${index}`, independent };
    const spec = { assistantId: "parent", input: toPayload(child) };
    const create = { threadId: thread!.threadId, spec, parent: { threadId, runId, independent } };
    const { run } = await client.runs.waitRun({ create }, { signal });
    return run!.status;
  };
  return { statuses: await Promise.all(Array.from({ length: width }, (_, index) => waitForChild(index))) };
}

export const graph = new StateGraph(State).addNode("work", work).addEdge(START, "work").addEdge("work", END).compile();
