import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CheckpointModule } from "../../checkpoints/journal-saver.ts";
import { countContextRunner, countGraphs, countInvoke } from "./counting.ts";
import { findCountingProblem } from "./counting-self-test.ts";
import type { LangGraphModule, SchemaModule } from "./graph-types.ts";
import { type ContextRunner, shareRunTree } from "./shared-run-tree.ts";

/** The releases whose internals the counting was tried with. */
const supported = { major: 1, minor: 7, words: "1.7 or a later 1.x" };

/**
 * One loaded instance of LangGraph. A copy on disk can be loaded twice, as ES modules and as CommonJS, with classes that know
 * nothing of each other.
 */
export interface LangGraphInstance {
  readonly langgraph: LangGraphModule;
  readonly checkpoint: CheckpointModule;
  /** Loaded when it is first asked for. */
  schemas(): Promise<SchemaModule>;
  /** Whether a graph was built with this instance. */
  owns(graph: unknown): boolean;
  /** Why its graphs cannot be used. */
  readonly problem?: string;
}

/** The copy of LangGraph that a file resolves. Throws a sentence when there is none, or one that is not supported. */
export class LangGraphCopy {
  static readonly #instances = new Map<string, Promise<LangGraphInstance>>();
  readonly #directory: string;
  readonly #version: string;

  constructor(file: string) {
    let manifest: string;
    try {
      manifest = createRequire(file).resolve("@langchain/langgraph/package.json");
    } catch (error) {
      throw new Error(`@langchain/langgraph cannot be found from ${dirname(file)}; install it there.`, {
        cause: error,
      });
    }
    this.#directory = dirname(manifest);
    this.#version = (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
    const [major, minor] = this.#version.split(".").map(Number);
    if (major !== supported.major || (minor ?? 0) < supported.minor) {
      throw new Error(
        `@langchain/langgraph ${this.#version} in ${this.#directory} is not supported; ${supported.words} is needed.`,
      );
    }
  }

  /** Loads the instance that ES modules get. */
  async preload(): Promise<void> {
    await this.#instance("esm");
  }

  /** The instance that the graph was built with; undefined when that is another copy. */
  async instanceOf(graph: unknown): Promise<LangGraphInstance | undefined> {
    // CommonJS leaves a trace when it is loaded, so that neither kind is loaded without need.
    const require = createRequire(join(this.#directory, "package.json"));
    if (require.cache[require.resolve("@langchain/langgraph/pregel")] !== undefined) {
      const instance = await this.#instance("cjs");
      if (instance.owns(graph)) return instance;
    }
    const instance = await this.#instance("esm");
    return instance.owns(graph) ? instance : undefined;
  }

  #instance(format: "esm" | "cjs"): Promise<LangGraphInstance> {
    const key = `${format}:${this.#directory}`;
    let instance = LangGraphCopy.#instances.get(key);
    if (instance === undefined) {
      instance = this.#load(format);
      LangGraphCopy.#instances.set(key, instance);
    }
    return instance;
  }

  async #load(format: "esm" | "cjs"): Promise<LangGraphInstance> {
    const load = <T>(specifier: string) => loadFrom<T>(this.#directory, specifier, format);
    const langgraph = await load<LangGraphModule>("@langchain/langgraph");
    const { Pregel } = await load<{ Pregel: abstract new () => object }>("@langchain/langgraph/pregel");
    const checkpoint = await load<CheckpointModule>("@langchain/langgraph-checkpoint");
    let problem: string | undefined;
    try {
      const { AsyncLocalStorageProviderSingleton } = await load<{ AsyncLocalStorageProviderSingleton: ContextRunner }>(
        "@langchain/core/singletons",
      );
      const { StructuredTool } = await load<{ StructuredTool: { prototype: object } }>("@langchain/core/tools");
      const { BaseChatModel } = await load<{ BaseChatModel: { prototype: object } }>(
        "@langchain/core/language_models/chat_models",
      );
      shareRunTree(AsyncLocalStorageProviderSingleton);
      countContextRunner(AsyncLocalStorageProviderSingleton);
      countInvoke(StructuredTool.prototype);
      countInvoke(BaseChatModel.prototype);
      countGraphs(Pregel.prototype);
      problem = await findCountingProblem(langgraph);
    } catch (error) {
      problem = (error as Error).message;
    }
    return {
      langgraph,
      checkpoint,
      schemas: () => load<SchemaModule>("@langchain/langgraph/zod/schema"),
      owns: (graph) => graph instanceof Pregel,
      ...(problem !== undefined && {
        problem: `Runs cannot be stopped reliably with @langchain/langgraph ${this.#version} in ${this.#directory}: ${problem}.`,
      }),
    };
  }
}

/** Imports what a folder's code would get for a package's entry point. */
async function loadFrom<T>(directory: string, specifier: string, format: "esm" | "cjs"): Promise<T> {
  const require = createRequire(join(directory, "package.json"));
  if (format === "cjs") return require(specifier) as T;
  const name = specifier.split("/").slice(0, 2).join("/");
  const manifest = require.resolve(`${name}/package.json`);
  const { exports } = JSON.parse(readFileSync(manifest, "utf8")) as { exports: Record<string, { import: Entry }> };
  const entry = exports[`.${specifier.slice(name.length)}`]?.import;
  const file = typeof entry === "string" ? entry : entry?.default;
  if (file === undefined) throw new Error(`${name} has no entry ${specifier}`);
  return (await import(pathToFileURL(join(dirname(manifest), file)).href)) as T;
}

type Entry = string | { readonly default: string };
