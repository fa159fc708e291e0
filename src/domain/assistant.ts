import type { MetadataFilter } from "./metadata-filter.ts";
import type { Json, RunSpec } from "./run/run.ts";

/** A graph with a configuration: a graph's own, which comes with `langgraph.json`, or one that a client has configured. */
export interface Assistant {
  readonly owner: string;
  readonly assistantId: string;
  readonly graph: string;
  readonly name: string;
  readonly description: string;
  /** Put under the configuration of each run. */
  readonly config?: RunSpec["config"];
  /** JSON text of an object, put under the context of each run. */
  readonly context?: Json;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The number of its configuration. */
  readonly version: number;
  /** Absent for a graph's own, which is not stored. */
  readonly createdAt?: Date;
  readonly updatedAt?: Date;
  /** A graph's own: it can be neither changed nor deleted. */
  readonly system: boolean;
}

/** One that a client has configured. */
export interface StoredAssistant extends Assistant {
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface AssistantName {
  readonly owner: string;
  readonly assistantId: string;
}

/** Which assistants: those that match each field that is set. */
export interface AssistantFilter {
  readonly owner: string;
  readonly graph?: string;
  /** A part of the name, in upper or lower case. */
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** What the caller's sight is limited to. */
  readonly within?: MetadataFilter;
  /** The graphs' own are in sight whatever `within` says. */
  readonly withGraphs?: boolean;
}

/** Where a page of configured assistants ended. */
export interface AssistantPosition {
  readonly createdAt: Date;
  readonly assistantId: string;
}
