import { Annotation, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";

/** The kinds of things that a file may export. */
const State = Annotation.Root({ answer: Annotation<string>() });

export const builder = new StateGraph(State)
  .addNode("say", (_: typeof State.State, config: LangGraphRunnableConfig) => ({
    answer: `${config.configurable?.tone ?? "plain"} ${config.configurable?.thread_id} ${config.metadata?.run_id}`,
  }))
  .addEdge(START, "say");

export const compiled = builder.compile();

/** What `createAgent` returns has the graph as a property. */
export const agent = { graph: compiled };

const saying = (answer: string) =>
  new StateGraph(State)
    .addNode("say", () => ({ answer }))
    .addEdge(START, "say")
    .compile();

export const factory = (config: LangGraphRunnableConfig) => saying(`made for ${config.configurable?.tone}`);

export async function asyncFactory(config: LangGraphRunnableConfig) {
  await Promise.resolve();
  return saying(`made later for ${config.configurable?.tone}`);
}

export const failingFactory = () => {
  throw new TypeError("no graph today");
};

export const nothing = 42;

export default compiled;
