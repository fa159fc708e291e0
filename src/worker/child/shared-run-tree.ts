import type { AsyncLocalStorage } from "node:async_hooks";

/** `AsyncLocalStorageProviderSingleton` of a copy of `@langchain/core`. */
export interface ContextRunner {
  runWithConfig(config: unknown, callback: () => unknown, avoidCreatingRootRunTree?: boolean): unknown;
  getInstance(): AsyncLocalStorage<unknown>;
}

/** What core finds the config of the function by that it is called in, and what `setContextVariable` has set. */
const childConfig = Symbol.for("lc:child_config");
const contextVariables = Symbol.for("lc:context_variables");

interface RunTree {
  readonly extra?: Readonly<Record<PropertyKey, unknown>>;
  readonly tracingEnabled?: boolean;
  readonly [contextVariables]?: unknown;
}

const tracingVariables = ["LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING"];

/**
 * Around each function that it calls, `@langchain/core` puts a `RunTree` of LangSmith's which, where nothing is traced, only carries
 * the function's config. To make one takes settings, a time, an id and thirty definitions of properties; here one is made so, and the
 * others are copies of it. Where anything is traced, all is as it was.
 */
export function shareRunTree(runner: ContextRunner, env: NodeJS.ProcessEnv = process.env): void {
  const original = runner.runWithConfig;
  let shared: RunTree | undefined;

  runner.runWithConfig = (config, callback, avoidCreatingRootRunTree) => {
    const storage = runner.getInstance();
    const outer = storage.getStore() as RunTree | undefined;
    if (isTraced(config, outer, env)) return original.call(runner, config, callback, avoidCreatingRootRunTree);
    const variables = outer?.[contextVariables];
    const kept = variables === undefined ? undefined : { [contextVariables]: variables };
    if (avoidCreatingRootRunTree) return storage.run(kept, callback);
    if (!shared) {
      return original.call(runner, config, () => {
        shared ??= withoutOwn(storage.getStore() as RunTree);
        return callback();
      });
    }
    const own = { extra: { ...shared.extra, [childConfig]: config }, child_runs: [] };
    return storage.run(Object.assign(copyOf(shared), own, kept), callback);
  };
}

const copyOf = (tree: RunTree): RunTree => Object.assign(Object.create(Object.getPrototypeOf(tree)), tree);

/** The tree without what is of the function that it was made for. */
function withoutOwn(tree: RunTree): RunTree {
  const { [childConfig]: _, ...extra } = tree.extra ?? {};
  const { [contextVariables]: __, ...shared } = Object.assign(copyOf(tree), { extra });
  return Object.setPrototypeOf(shared, Object.getPrototypeOf(tree));
}

/** By the environment, by a handler, or since what is around it is. */
function isTraced(config: unknown, outer: RunTree | undefined, env: NodeJS.ProcessEnv): boolean {
  if (outer?.tracingEnabled === true || tracingVariables.some((name) => env[name] === "true")) return true;
  const callbacks = (config as { callbacks?: unknown } | undefined)?.callbacks;
  const handlers = (
    Array.isArray(callbacks) ? callbacks : (callbacks as { handlers?: unknown } | undefined)?.handlers
  ) as readonly { readonly name?: string }[] | undefined;
  return handlers?.some((handler) => handler?.name === "langchain_tracer") ?? false;
}
