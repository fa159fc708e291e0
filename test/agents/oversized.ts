import { existsSync } from "node:fs";
import { join } from "node:path";
import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

/** Graphs whose errors, questions and values are more than a document, or JSON, can hold. */
const list = <T>() => Annotation<T[]>({ reducer: (before, more) => [...before, ...more], default: () => [] });
const State = Annotation.Root({
  dir: Annotation<string>(),
  /** Characters of what is too large. */
  size: Annotation<number>(),
  /** What the client gave. */
  data: Annotation<unknown>(),
  big: Annotation<unknown>(),
  log: list<string>(),
});
type Values = typeof State.State;
const one = (node: (state: Values) => object | Promise<object>) =>
  new StateGraph(State).addNode("step", node).addEdge(START, "step").addEdge("step", END);

export const thrower = one(({ size }) => {
  throw Object.assign(new Error("x".repeat(size)), { name: "Huge" });
}).compile();

export const asker = one(({ size }) => ({ log: [interrupt("q".repeat(size))] })).compile();

/** Twenty branches side by side; each asks. */
export const crowd = Array.from({ length: 20 }, (_, n) => `branch${n}`)
  .reduce(
    (graph, name) =>
      graph
        .addNode(name, ({ size }: Values) => ({ log: [interrupt(name.padEnd(size, "q"))] }))
        .addEdge(START, name as never)
        .addEdge(name as never, END) as never,
    new StateGraph(State),
  )
  .compile();

/** Keeps the data that it is given, asks, and keeps the answer. */
export const keeper = one(({ data }) => ({ big: interrupt(data) })).compile();

/** As immer does it, so that what is in the state can no longer be written to. */
function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    if (!ArrayBuffer.isView(value)) Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

interface Frozen {
  readonly data: unknown;
  readonly self?: Frozen;
  readonly numbers: readonly number[];
  readonly buffers: ReadonlyMap<string, Buffer>;
}

/** Freezes the data that it is given, beside what JSON has no form for, asks with it, and says what has come back. */
export const freezer = new StateGraph(State)
  .addNode("freeze", ({ data }) => {
    const big: Frozen & { self?: Frozen } = {
      data: structuredClone(data),
      numbers: [Number.NaN, Number.POSITIVE_INFINITY],
      buffers: new Map([["a", Buffer.from("x")]]),
    };
    big.self = big;
    return { big: deepFreeze(big) };
  })
  .addNode("ask", ({ big }) => {
    const { data, self, numbers, buffers } = big as Frozen;
    interrupt(Object.freeze({ data }));
    return { log: [`${self === big} ${numbers} ${buffers.get("a")}`] };
  })
  .addEdge(START, "freeze")
  .addEdge("freeze", "ask")
  .addEdge("ask", END)
  .compile();

export const bigInt = one(() => ({ big: { count: 1n } })).compile();

/** Reading its state takes until there is no file "closed" in its folder: the reducer is called for what one branch has done. */
const Closed = Annotation.Root({
  dir: Annotation<string>(),
  log: Annotation<string[]>({
    reducer(before, more) {
      const [dir] = more;
      while (dir?.startsWith("/") && existsSync(join(dir, "closed"))) Atomics.wait(pause, 0, 0, 20);
      return [...before, ...more];
    },
    default: () => [],
  }),
});
const pause = new Int32Array(new SharedArrayBuffer(4));
export const slow = new StateGraph(Closed)
  .addNode("done", ({ dir }) => ({ log: [dir] }))
  .addNode("ask", () => ({ log: [interrupt("first")] }))
  .addEdge(START, "done")
  .addEdge(START, "ask")
  .addEdge("done", END)
  .addEdge("ask", END)
  .compile();
