import { setImmediate as turn } from "node:timers/promises";
import { Activity } from "./activity.ts";
import { attemptContext } from "./attempt-context.ts";
import type { CompiledGraph, LangGraphModule } from "./graph-types.ts";

/** Turns of the event loop that the tiny graphs below get for something that takes a few. */
const patience = 2_000;

/**
 * Runs tiny graphs whose nodes ignore the abort signal, and says what is wrong when they are not counted to their real end;
 * undefined when all is well.
 */
export async function findCountingProblem(langgraph: LangGraphModule): Promise<string | undefined> {
  const { StateGraph, Annotation, START, entrypoint, task } = langgraph;
  return (
    (await tryDeaf("a node", (work) =>
      new StateGraph(Annotation.Root({})).addNode("deaf", work).addEdge(START, "deaf").compile(),
    )) ??
    (await tryDeaf("a task", (work) => {
      const deaf = task("deaf", work);
      return entrypoint("self-test", () => deaf());
    }))
  );
}

async function tryDeaf(what: string, build: (work: () => unknown) => CompiledGraph): Promise<string | undefined> {
  let started = false;
  let finish: () => void = () => {};
  const end = new Promise<void>((resolve) => (finish = resolve));
  const graph = build(async () => {
    started = true;
    await end;
    return {};
  });
  const activity = new Activity();
  const controller = new AbortController();
  let streamOver = false;
  const context = { attemptId: "self-test", runId: "self-test", activity };
  const consumed = attemptContext.run(context, async () => {
    try {
      for await (const _ of await graph.stream({}, { signal: controller.signal }));
    } catch {
      // The abort that this test has asked for.
    }
    streamOver = true;
  });
  try {
    if (!(await becomes(() => started))) return `${what} was not called`;
    controller.abort(new Error("self-test"));
    if (!(await becomes(() => streamOver))) return `${what} that ignores the abort signal holds its stream`;
    // What was only raced against the signal is over by now.
    for (let i = 0; i < 10; i++) await turn();
    if (activity.functions === 0) return `${what} that ignores the abort signal was not counted`;
  } finally {
    finish();
  }
  await consumed;
  let settled = false;
  void activity.settle().then(() => (settled = true));
  if (!(await becomes(() => settled))) return `${what} was still counted after its end`;
  return undefined;
}

async function becomes(condition: () => boolean): Promise<boolean> {
  for (let i = 0; i < patience && !condition(); i++) await turn();
  return condition();
}
