import { setTimeout as sleep } from "node:timers/promises";
import {
  Annotation,
  END,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { FakeModel } from "./fake-model.ts";

/**
 * Two colleagues, each a subgraph of its own, work in parallel; an editor joins what they bring. Stopping the run stops both
 * branches; what one of them had finished is not done again when the thread goes on.
 */
const Team = Annotation.Root({
  ...MessagesAnnotation.spec,
  findings: Annotation<string[]>({ reducer: (before, found) => [...before, ...found], default: () => [] }),
  delay_ms: Annotation<number>({ reducer: (_, next) => next, default: () => 60 }),
});

/** What a colleague sees and gives back; shared by name with the team's state. */
const Colleague = Annotation.Root({
  findings: Annotation<string[]>({ reducer: (before, found) => [...before, ...found], default: () => [] }),
  delay_ms: Annotation<number>(),
  /** Only inside the subgraph. */
  notes: Annotation<string>(),
});

function colleague(name: string, paces: number) {
  const gather = async ({ delay_ms }: typeof Colleague.State, config: LangGraphRunnableConfig) => {
    for (let page = 1; page <= paces; page++) {
      await sleep(delay_ms * 5, undefined, { signal: config.signal });
      config.writer?.({ colleague: name, page });
    }
    return { notes: `${paces} pages` };
  };
  const summarize = async ({ notes, delay_ms }: typeof Colleague.State, config: LangGraphRunnableConfig) => {
    await sleep(delay_ms * 5, undefined, { signal: config.signal });
    // Only what is new: the team's reducer adds it to what is there.
    return { findings: [`${name} read ${notes}`] };
  };
  return new StateGraph({ state: Colleague, output: Annotation.Root({ findings: Colleague.spec.findings }) })
    .addNode("gather", gather)
    .addNode("summarize", summarize)
    .addEdge(START, "gather")
    .addEdge("gather", "summarize")
    .addEdge("summarize", END)
    .compile();
}

async function edit({ messages, findings, delay_ms }: typeof Team.State) {
  const text = `Our report: ${findings.join(", ")}.`;
  return { messages: [await new FakeModel({ text }, delay_ms).invoke(messages)] };
}

export const graph = new StateGraph(Team)
  .addNode("researcher", colleague("The researcher", 5))
  .addNode("critic", colleague("The critic", 3))
  .addNode("editor", edit)
  .addEdge(START, "researcher")
  .addEdge(START, "critic")
  .addEdge(["researcher", "critic"], "editor")
  .addEdge("editor", END)
  .compile();
