import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { pathToFileURL } from "node:url";
import type { GraphReport, GraphSpec } from "../protocol.ts";
import { describeError } from "./describe-error.ts";
import type { CompiledGraph } from "./graph-types.ts";
import { LangGraphCopy, type LangGraphInstance } from "./langgraph-copy.ts";
import { checkLoadable, loadExport, registerTypeScript } from "./load-module.ts";

/** A graph of its own for one run or one look: a copy on which a saver may be set. */
export interface OpenGraph {
  readonly graph: CompiledGraph;
  readonly instance: LangGraphInstance;
}

type Factory = (config: object) => unknown;

interface LoadedGraph {
  readonly copy: LangGraphCopy;
  /** Fixed, or made anew for each run by the file's function. */
  readonly source: OpenGraph | Factory;
}

/** The graphs that `langgraph.json` names, loaded from their files. */
export class GraphRegistry {
  readonly #graphs = new Map<string, LoadedGraph | Error>();

  /** Loads each graph's file; one that cannot be used does not stop the others. */
  async load(specs: readonly GraphSpec[]): Promise<readonly GraphReport[]> {
    for (const { file } of specs) await preload(file);
    registerTypeScript();
    const reports: GraphReport[] = [];
    for (const spec of specs) {
      try {
        const loaded = await loadGraph(spec);
        this.#graphs.set(spec.name, loaded);
        reports.push({ name: spec.name, ...(await nodesOf(loaded)) });
      } catch (error) {
        const problem = `Graph "${spec.name}" of ${spec.file} cannot be used: ${describeError(error).message}`;
        this.#graphs.set(spec.name, new Error(problem));
        reports.push({ name: spec.name, problem });
      }
    }
    return reports;
  }

  /** The graph for one use; `config` is what a factory is called with. */
  async open(name: string, config: object): Promise<OpenGraph> {
    const loaded = this.#graphs.get(name);
    if (loaded === undefined) throw new Error(`There is no graph "${name}".`);
    if (loaded instanceof Error) throw loaded;
    const { source, copy } = loaded;
    const { graph, instance } = typeof source === "function" ? await identify(await source(config), copy) : source;
    // The saver of a run must never be set on the graph that all runs share.
    return { graph: graph.withConfig({}), instance };
  }
}

/**
 * Loads the LangGraph that a file's imports will find, before tsx looks at every module that is loaded: that would take as long
 * again, which is most of a process's start.
 */
async function preload(file: string): Promise<void> {
  try {
    if (isEsModule(file)) await new LangGraphCopy(file).preload();
  } catch {
    // What is wrong with it is told when the graph is loaded.
  }
}

/** Whether tsx takes a file for an ES module. */
function isEsModule(file: string): boolean {
  if (/\.m[jt]s$/i.test(file)) return true;
  if (!/\.[jt]sx?$/i.test(file)) return false;
  const manifest = findPackageJSON(pathToFileURL(file));
  return manifest !== undefined && (JSON.parse(readFileSync(manifest, "utf8")) as { type?: string }).type === "module";
}

async function loadGraph(spec: GraphSpec): Promise<LoadedGraph> {
  checkLoadable(spec.file, "graphs");
  const copy = new LangGraphCopy(spec.file);
  const exported = await loadExport(spec.file, spec.exportName);
  const source = typeof exported === "function" ? (exported as Factory) : await identify(await exported, copy);
  return { copy, source };
}

/** Makes a compiled graph of what a file exports or a factory returns: a builder, a graph, or what `createAgent` returns. */
async function identify(value: unknown, copy: LangGraphCopy): Promise<OpenGraph> {
  let graph = value as { compile?: () => unknown; graph?: unknown } | undefined | null;
  if (typeof graph?.compile === "function") graph = (await graph.compile()) as typeof graph;
  else if (typeof graph?.graph === "object") graph = graph.graph as typeof graph;
  if (typeof (graph as { stream?: unknown } | null | undefined)?.stream !== "function") {
    throw new Error("it is neither a graph nor a graph's builder, nor a function that returns one");
  }
  const instance = await copy.instanceOf(graph);
  if (instance === undefined) {
    throw new Error("it was built with another copy of @langchain/langgraph than the one that its folder resolves");
  }
  if (instance.problem !== undefined) throw new Error(instance.problem);
  return { graph: graph as unknown as CompiledGraph, instance };
}

async function nodesOf({ source }: LoadedGraph): Promise<Pick<GraphReport, "nodes" | "nodesBelow">> {
  if (typeof source === "function") return {};
  const below = new Set<string>();
  for await (const [, subgraph] of source.graph.getSubgraphsAsync(undefined, true)) {
    for (const name of ownNodes(subgraph)) below.add(name);
  }
  return { nodes: ownNodes(source.graph), nodesBelow: below.size > 0 ? [...below] : undefined };
}

const ownNodes = ({ nodes }: CompiledGraph): string[] => Object.keys(nodes).filter((name) => name !== "__start__");
