/**
 * LangGraph as this process uses it. The classes come at run time from the copy that a graph's own folder resolves, so they are
 * described by what is called on them, not imported.
 */
export interface CompiledGraph {
  readonly nodes: Readonly<Record<string, { readonly bound?: unknown }>>;
  checkpointer?: unknown;
  store?: unknown;
  /** A copy that shares the nodes. */
  withConfig(config: object): CompiledGraph;
  stream(input: unknown, options: object): Promise<AsyncIterable<unknown>>;
  /** The same execution as LangChain's callbacks tell of it. */
  streamEvents(input: unknown, options: object): AsyncIterable<CallbackEvent>;
  getState(config: object, options?: { readonly subgraphs?: boolean }): Promise<GraphState>;
  getStateHistory(config: object, options?: object): AsyncIterable<GraphState>;
  getGraphAsync(config: { readonly xray: number }): Promise<DrawnGraph>;
  /** Absent with the functional API. The fields name the channels of the graph's state, and of what it takes and gives. */
  readonly builder?: {
    readonly _schemaDefinition?: object;
    readonly _inputDefinition?: object;
    readonly _outputDefinition?: object;
  };
  updateState(config: object, values: unknown, asNode?: string): Promise<GraphConfig>;
  /** The subgraphs that the graph knows of; with a namespace without task ids, the one at it. */
  getSubgraphsAsync(namespace?: string, recurse?: boolean): AsyncIterable<readonly [string, CompiledGraph]>;
}

/** What happened to a runnable. That of the graph itself has the run's id, and streams the graph's chunks. */
export interface CallbackEvent {
  readonly event: string;
  readonly run_id: string;
  readonly tags?: readonly string[];
  readonly data: { readonly chunk?: unknown };
}

/** What LangChain's `Graph` holds. */
interface DrawnGraph {
  readonly nodes: Readonly<
    Record<string, { readonly id: string; readonly name: string; readonly metadata?: Record<string, unknown> }>
  >;
  readonly edges: readonly {
    readonly source: string;
    readonly target: string;
    readonly data?: unknown;
    readonly conditional?: boolean;
  }[];
}

/** LangGraph's StateSnapshot. */
export interface GraphState {
  readonly values: unknown;
  readonly next: readonly string[];
  readonly config: GraphConfig;
  readonly parentConfig?: GraphConfig;
  readonly metadata?: Record<string, unknown>;
  /** Absent when there is no checkpoint. */
  readonly createdAt?: string;
  readonly tasks: readonly {
    readonly id: string;
    readonly name: string;
    readonly error?: unknown;
    readonly interrupts: readonly { readonly id?: string; readonly value?: unknown }[];
    /** Where its subgraph keeps its state, or that state. */
    readonly state?: GraphConfig | GraphState;
    readonly result?: unknown;
  }[];
}

export interface GraphConfig {
  readonly configurable?: Readonly<Record<string, unknown>>;
}

/** What is used of `@langchain/langgraph`. */
export interface LangGraphModule {
  readonly Command: new (args: object) => unknown;
  readonly Send: new (node: string, input: unknown) => unknown;
  readonly RunControl: new () => RunControl;
  readonly StateGraph: new (schema: unknown) => GraphBuilder;
  readonly Annotation: { Root(fields: object): unknown };
  readonly START: string;
  readonly entrypoint: (name: string, run: (input: unknown) => unknown) => CompiledGraph;
  readonly task: (name: string, run: () => unknown) => () => Promise<unknown>;
}

/** What is used of `@langchain/langgraph/zod/schema`: JSON Schemas of graphs that are described with zod or a StateSchema. */
export interface SchemaModule {
  getInputTypeSchema(graph: unknown): object | undefined;
  getOutputTypeSchema(graph: unknown): object | undefined;
  getStateTypeSchema(graph: unknown): object | undefined;
  getConfigTypeSchema(graph: unknown): object | undefined;
}

export interface RunControl {
  requestDrain(reason: string): void;
}

interface GraphBuilder {
  addNode(name: string, run: unknown): GraphBuilder;
  addEdge(from: string, to: string): GraphBuilder;
  compile(): CompiledGraph;
}
