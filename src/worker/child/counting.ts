import { attemptContext, type Pauses } from "./attempt-context.ts";
import type { ContextRunner } from "./shared-run-tree.ts";

/**
 * Counts, for the attempt in whose context it happens, each function that LangChain calls. LangChain races what it calls
 * against the abort signal and abandons the loser; counted is the loser itself, where it is called:
 *
 * - `runWithConfig` of core's context is the one place through which nodes, tasks, edges' conditions, lambdas and tools made by
 *   `tool()` are called, with the raw function's promise in hand;
 * - a graph's node can be any Runnable (a model, a class of the user's): its `invoke`;
 * - tools and chat models as classes: their `invoke`.
 *
 * Every patch is made once; outside of an attempt it only passes on.
 */
const counted = new WeakSet<object>();

type Method = (this: unknown, ...args: unknown[]) => unknown;

function once(target: object): boolean {
  if (counted.has(target)) return false;
  counted.add(target);
  return true;
}

export function countContextRunner(runner: ContextRunner): void {
  if (!once(runner)) return;
  const original = runner.runWithConfig;
  runner.runWithConfig = (config, callback, avoidCreatingRootRunTree) => {
    const activity = attemptContext.getStore()?.activity;
    // With `avoidCreatingRootRunTree` it is a step of an iterator: plumbing, whose functions come by here themselves.
    const run = activity === undefined || avoidCreatingRootRunTree ? callback : () => activity.run(callback);
    return original.call(runner, config, run, avoidCreatingRootRunTree);
  };
}

/** Counts the calls of `invoke` on a class's prototype or on one object. */
export function countInvoke(target: object): void {
  const original = (target as { invoke?: Method }).invoke;
  if (typeof original !== "function" || !Object.isExtensible(target) || !once(target)) return;
  Object.defineProperty(target, "invoke", {
    configurable: true,
    writable: true,
    enumerable: false,
    value: function (this: unknown, ...args: unknown[]) {
      const activity = attemptContext.getStore()?.activity;
      return activity === undefined ? original.apply(this, args) : activity.run(() => original.apply(this, args));
    },
  });
}

/** `Pregel.prototype`: follows the loop of every graph, subgraphs included, and counts the Runnables that are its nodes. */
export function countGraphs(prototype: object): void {
  if (!once(prototype)) return;
  const graphs = prototype as { _streamIterator: (...args: unknown[]) => AsyncGenerator };
  const original = graphs._streamIterator;
  if (typeof original !== "function") throw new Error("its graphs have no _streamIterator");
  graphs._streamIterator = function (this: Pregel, ...args) {
    const context = attemptContext.getStore();
    if (context === undefined) return original.apply(this, args);
    const [input, options, ...others] = args;
    const loop = original.apply(this, [input, withPauses(this, options as object, context.pauses), ...others]);
    for (const node of Object.values(this.nodes ?? {})) countRunnable(node.bound);
    return context.activity.follow(loop);
  };
}

interface Pregel {
  readonly nodes?: Record<string, { readonly bound?: unknown }>;
  /** At which of its own nodes it always pauses. */
  readonly interruptBefore?: "*" | readonly string[];
  readonly interruptAfter?: "*" | readonly string[];
}

/** LangGraph hands a run's pauses to the run's own graph alone: a subgraph gets those that are about its nodes here. */
function withPauses(graph: Pregel, options: object | undefined, pauses: Pauses | undefined): object | undefined {
  const own = (names: readonly string[] = []) => names.filter((name) => Object.hasOwn(graph.nodes ?? {}, name));
  const [before, after] = [own(pauses?.before), own(pauses?.after)];
  if (before.length + after.length === 0) return options;
  return {
    ...options,
    interruptBefore: together(graph.interruptBefore, before),
    interruptAfter: together(graph.interruptAfter, after),
  };
}

const together = (always: Pregel["interruptBefore"] = [], more: readonly string[]): "*" | string[] =>
  always === "*" ? always : [...always, ...more];

/** A node's Runnable and, when it is made of others, its parts. */
function countRunnable(runnable: unknown): void {
  if (typeof runnable !== "object" || runnable === null) return;
  if (counted.has(runnable)) return;
  countInvoke(runnable);
  // `steps` of a sequence is a list, of a map an object; `bound` is what a binding wraps.
  const { steps, bound } = runnable as { steps?: object; bound?: unknown };
  for (const part of [...Object.values(steps ?? {}), bound]) countRunnable(part);
}
