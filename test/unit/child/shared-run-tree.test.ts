import { getContextVariable, setContextVariable } from "@langchain/core/context";
import { RunnableLambda } from "@langchain/core/runnables";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import { getConfig } from "@langchain/langgraph";
import { RunTree } from "langsmith/run_trees";
import { getCurrentRunTree, traceable } from "langsmith/traceable";
import { afterAll, expect, it, vi } from "vitest";
import { type ContextRunner, shareRunTree } from "../../../src/worker/child/shared-run-tree.ts";

const runner = AsyncLocalStorageProviderSingleton as unknown as ContextRunner;
const original = vi.fn(runner.runWithConfig);
const before = runner.runWithConfig;
const env: NodeJS.ProcessEnv = {};
runner.runWithConfig = original;
shareRunTree(runner, env);
afterAll(() => {
  runner.runWithConfig = before;
});

const inside = <T>(what: () => T, configurable: Record<string, unknown> = {}): Promise<Awaited<T>> =>
  RunnableLambda.from(() => what()).invoke({}, { configurable }) as Promise<Awaited<T>>;

it("a function finds its own config and a run tree that traces nothing, as with core alone", async () => {
  const look = () => ({ tree: getCurrentRunTree(true) as RunTree | undefined, value: getConfig().configurable?.value });
  for (const value of [1, 2, 3]) {
    const seen = await inside(look, { value });
    expect(seen.value).toBe(value);
    expect(seen.tree).toBeInstanceOf(RunTree);
    expect(seen.tree!.tracingEnabled).toBe(false);
    expect(Object.keys(new RunTree(seen.tree!))).toEqual(
      Object.keys(new RunTree({ name: "x", tracingEnabled: false })),
    );
  }
  // Of all of them, core has made the first.
  expect(original.mock.calls.filter(([, , avoids]) => !avoids)).toHaveLength(1);
});

it("functions side by side have trees of their own", async () => {
  const trees = await Promise.all([1, 2].map((n) => inside(() => getCurrentRunTree(true) as RunTree, { n })));
  trees[0]!.child_runs.push(trees[1]!);
  expect(trees[1]!.child_runs).toEqual([]);
  expect(trees[0]).not.toBe(trees[1]);
});

it("context variables reach what is called inside, and nothing beside it", async () => {
  const read = () => getContextVariable("fruit");
  expect(
    await inside(async () => {
      setContextVariable("fruit", "apple");
      const nested = await inside(async () => {
        const found = read();
        setContextVariable("fruit", "pear");
        return [found, await inside(read)];
      });
      return [...nested, read()];
    }),
  ).toEqual(["apple", "pear", "apple"]);
  expect(await inside(read)).toBeUndefined();
});

it("a traceable function can be called inside", async () => {
  const double = traceable(async (n: number) => 2 * n, { name: "double" });
  expect(await inside(() => double(21))).toBe(42);
});

it.each([
  ["the environment says so", { LANGSMITH_TRACING: "true" }, undefined],
  ["a handler traces", {}, [{ name: "langchain_tracer" }]],
  ["a manager's handler traces", {}, { handlers: [{ name: "other" }, { name: "langchain_tracer" }] }],
])("core does it where %s", (_, variables: Record<string, string>, callbacks) => {
  const core = vi.fn((_: unknown, callback: () => unknown) => callback());
  const traced: ContextRunner = { runWithConfig: core, getInstance: () => runner.getInstance() };
  shareRunTree(traced, variables);
  const config = { callbacks };
  expect(traced.runWithConfig(config, () => "done", true)).toBe("done");
  expect(core.mock.calls).toEqual([[config, expect.any(Function), true]]);
});

it("core does it below a tree that traces", () => {
  const core = vi.fn((_: unknown, callback: () => unknown) => callback());
  const traced: ContextRunner = { runWithConfig: core, getInstance: () => runner.getInstance() };
  shareRunTree(traced, {});
  runner.getInstance().run(new RunTree({ name: "x", tracingEnabled: true }), () => {
    traced.runWithConfig({}, () => "done", true);
  });
  traced.runWithConfig({}, () => "done", true);
  expect(core).toHaveBeenCalledTimes(1);
});
