import { setTimeout as sleep } from "node:timers/promises";
import {
  Annotation,
  END,
  getStore,
  InMemoryStore,
  type LangGraphRunnableConfig,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { gate, type Manner } from "./gate.ts";

/** What a run does with its store, one after the other. */
export type Act =
  | { readonly do: "put"; readonly namespace: string[]; readonly key: string; readonly value: object; quick?: boolean }
  | { readonly do: "get"; readonly namespace: string[]; readonly key: string }
  | { readonly do: "delete"; readonly namespace: string[]; readonly key: string }
  | { readonly do: "search"; readonly namespace: string[]; readonly options?: object }
  | { readonly do: "namespaces"; readonly options?: object }
  | { readonly do: "gate"; readonly step: string; readonly manner?: Manner }
  /** Waits at the gate, and puts an item some time after it was stopped there. */
  | { readonly do: "tidy"; readonly step: string; readonly namespace: string[] }
  /** Puts one item after the other and hears no signal. */
  | { readonly do: "flood"; readonly namespace: string[] };

const State = Annotation.Root({
  /** Where the gates are. */
  dir: Annotation<string>(),
  acts: Annotation<Act[]>({ reducer: (_, next) => next, default: () => [] }),
  answers: Annotation<unknown[]>({ reducer: (_, next) => next, default: () => [] }),
  /** Where the edge behind an edited state looks. */
  found: Annotation<string>({ reducer: (_, next) => next, default: () => "" }),
});

async function act({ dir, acts }: typeof State.State, config: LangGraphRunnableConfig) {
  const store = config.store!;
  const answers: unknown[] = [];
  for (const one of acts) {
    if (one.do === "put") {
      const putting = store.put(one.namespace, one.key, one.value);
      if (!one.quick) await putting;
    } else if (one.do === "get") answers.push(await store.get(one.namespace, one.key));
    else if (one.do === "delete") await store.delete(one.namespace, one.key);
    else if (one.do === "search") answers.push(await getStore()!.search(one.namespace, one.options));
    else if (one.do === "namespaces") answers.push(await store.listNamespaces(one.options));
    else if (one.do === "gate") await gate(dir, one.step, one.manner ?? "polite", config.signal);
    else if (one.do === "flood") for (let n = 0; ; n++) await store.put(one.namespace, `${n}`, { n });
    else {
      await gate(dir, one.step, "polite", config.signal).catch(() => {});
      // LangGraph's own loop is over by then.
      await sleep(50);
      await store.put(one.namespace, "tidied", { aborted: config.signal!.aborted });
    }
  }
  return { answers };
}

const builder = () =>
  new StateGraph(State)
    .addNode("act", act)
    .addEdge(START, "act")
    .addConditionalEdges(
      "act",
      async ({ found }, config) => {
        if (found === "") return END;
        if (found === "put") await config.store!.put(["edges"], "k", {});
        return (await config.store!.get(["edges"], found)) === null ? END : "act";
      },
      ["act", END],
    );

export const graph = builder().compile();

/** Compiled with a store of its own. */
export const own = builder().compile({ store: new InMemoryStore() });

/** The same in a subgraph with a store of its own. */
export const nested = new StateGraph(State)
  .addNode("inner", own)
  .addEdge(START, "inner")
  .addEdge("inner", END)
  .compile();
