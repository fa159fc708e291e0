import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AIMessage } from "@langchain/core/messages";
import {
  Annotation,
  END,
  interrupt,
  type LangGraphRunnableConfig,
  MessagesAnnotation,
  START,
  StateGraph,
} from "@langchain/langgraph";

/**
 * The graphs that all servers are compared with. graphs.py beside this file is their twin: equal names, keys and outputs.
 * A change here is a change there.
 */
const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  log: Annotation<string[]>({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
  /** How often `work` is repeated, and which repetition is next. */
  steps: Annotation<number>(),
  step: Annotation<number>(),
  /** How long each repetition works. */
  step_ms: Annotation<number>(),
  /** How long a polite node still works after it was told to stop. */
  linger_ms: Annotation<number>(),
  /** The repetition that fails, and the one that asks. */
  fail_at: Annotation<number>(),
  ask_at: Annotation<number>(),
  /** Custom events that each repetition writes, and the pause after each. */
  custom: Annotation<number>(),
  custom_ms: Annotation<number>(),
  /** What the node answers with a message. */
  say: Annotation<string>(),
  /** A file for the node's own signs of life, one line each: milliseconds since 1970. */
  beats: Annotation<string>(),
});

type Values = typeof State.State;
type Manner = "polite" | "deaf" | "busy";

class Boom extends Error {
  override readonly name = "Boom";
}

const beat = (file: string | undefined) => file && appendFileSync(file, `${Date.now()}\n`);

async function keepAlive(ms: number, beats: string | undefined, signal?: AbortSignal): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; ) {
    beat(beats);
    await sleep(Math.min(5, Math.max(0, end - Date.now())), undefined, { signal });
  }
}

/** Works for a while: hears the signal, awaits without hearing it, or blocks its process. */
async function work(manner: Manner, values: Values, signal: AbortSignal | undefined): Promise<void> {
  const ms = values.step_ms ?? 0;
  if (manner === "busy") {
    for (const end = Date.now() + ms; Date.now() < end; ) {
      beat(values.beats);
      for (const pause = Date.now() + 5; Date.now() < pause; );
    }
    return;
  }
  try {
    await keepAlive(ms, values.beats, manner === "polite" ? signal : undefined);
  } catch (error) {
    beat(values.beats);
    await keepAlive(values.linger_ms ?? 0, values.beats);
    throw error;
  }
}

async function emit({ custom = 0, custom_ms = 0, step }: Values, config: LangGraphRunnableConfig): Promise<void> {
  for (let i = 0; i < custom; i += 1) {
    config.writer?.({ step, i, at: Date.now() });
    if (custom_ms > 0) await sleep(custom_ms);
    else if (i % 50 === 49) await sleep(0);
  }
}

const worker = (manner: Manner) => async (values: Values, config: LangGraphRunnableConfig) => {
  const { step } = values;
  if (step === values.fail_at) throw new Boom(`failing at step ${step}`);
  const log = [`step ${step}`];
  if (step === values.ask_at) log.push(`answered ${interrupt({ question: "go on?" })}`);
  await emit(values, config);
  await work(manner, values, config.signal);
  const messages = values.say === undefined ? [] : [new AIMessage({ id: `said-${step}`, content: values.say })];
  return { log, step: step + 1, messages };
};

const stepping = (manner: Manner) =>
  new StateGraph(State)
    .addNode("reset", () => ({ step: 0 }))
    .addNode("work", worker(manner))
    .addEdge(START, "reset")
    .addEdge("reset", "work")
    .addConditionalEdges("work", ({ step, steps = 1 }) => (step < steps ? "work" : END), ["work", END])
    .compile();

export const agent = stepping("polite");
export const deaf = stepping("deaf");
export const busy = stepping("busy");

const inner = new StateGraph(State)
  .addNode("inner", worker("polite"))
  .addEdge(START, "inner")
  .addEdge("inner", END)
  .compile();

export const parent = new StateGraph(State)
  .addNode("before", () => ({ step: 0, log: ["before"] }))
  .addNode("child", inner)
  .addNode("after", () => ({ log: ["after"] }))
  .addEdge(START, "before")
  .addEdge("before", "child")
  .addEdge("child", "after")
  .addEdge("after", END)
  .compile();
