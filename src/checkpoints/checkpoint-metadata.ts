import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import { callersNames } from "../domain/run/callers-names.ts";

export interface MetadataSource {
  readonly config: RunnableConfig;
  /** What LangGraph says of the checkpoint. */
  readonly own: CheckpointMetadata;
  /** What is put on every checkpoint of the attempt. */
  readonly ofAttempt: Readonly<Record<string, unknown>>;
  /** Of a run; then its configurable values go in as well, as the LangGraph API stores them. */
  readonly runId?: string;
  /** Names that are LangGraph's bookkeeping. */
  readonly excluded: ReadonlySet<string>;
}

/** LangGraph hands over source, step and parents alone; whose checkpoint it is has to be added. */
export function checkpointMetadata({ config, own, ofAttempt, runId, excluded }: MetadataSource): CheckpointMetadata {
  const configured = Object.entries({ ...(runId !== undefined && config.configurable), ...config.metadata });
  return {
    ...Object.fromEntries(configured.filter(([name, value]) => isUsers(name, excluded) && isShort(value))),
    ...ofAttempt,
    ...own,
    ...(runId !== undefined && { run_id: runId }),
  };
}

/** Plain data that every checkpoint can carry; the whole of a run's configuration is with the run. */
const isShort = (value: unknown): boolean => isPlainData(value) && JSON.stringify(value).length <= maxCharacters;

const maxCharacters = 64 * 1024;

/** Top-level fields that a filter can name. */
export const metadataFields = (metadata: CheckpointMetadata): Record<string, unknown> =>
  Object.fromEntries(Object.entries(metadata).filter(([, value]) => isPlainData(value)));

const isUsers = (name: string, excluded: ReadonlySet<string>): boolean =>
  !name.startsWith("__") && !excluded.has(name) && !ofCaller.has(name);

/** What the graph is told of whoever has created its run is not for all who may read the thread. */
const ofCaller = new Set<string>(callersNames);

/** What JSON carries unchanged, and not without end. A configurable value may be anything, a model's client for example. */
export function isPlainData(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth > maxDepth) return false;
  if (Array.isArray(value)) return value.every((item) => isPlainData(item, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value).every((item) => isPlainData(item, depth + 1));
}

const maxDepth = 32;
