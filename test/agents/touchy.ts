import { Annotation, CompiledStateGraph, END, START, StateGraph } from "@langchain/langgraph";

/** Its own code refuses some values, and never answers for others. */
const State = Annotation.Root({
  value: Annotation<string>({
    reducer: (_, next) => {
      if (next === "bad") throw new RangeError("this value is never taken");
      return next;
    },
    default: () => "",
  }),
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const route = async ({ value }: typeof State.State) => {
  if (value === "hang") await new Promise(() => {});
  return "second";
};

const builder = new StateGraph(State)
  .addNode("first", () => ({ log: ["first"] }))
  .addNode("second", () => ({ log: ["second"] }))
  .addEdge(START, "first")
  .addConditionalEdges("first", route, ["second"])
  .addEdge("second", END);

export const graph = builder.compile();

/** Its state is never read, not even of the copies that are made of a graph. */
class Unreadable extends CompiledStateGraph<unknown, unknown> {
  override async getState(): Promise<never> {
    throw new Error("this state is never read");
  }
}
export const unreadable = Object.setPrototypeOf(builder.compile(), Unreadable.prototype) as Unreadable;

/** The same, made anew for each run. */
export const make = () => builder.compile();
