import type { AssistantOfRun, Json, RunSpec } from "../domain/run.ts";
import type { AttemptSpec } from "./protocol.ts";

/**
 * What a run executes with: its own configuration and context over its assistant's. Tags are added up; of the rest, what the run
 * sets itself wins, field by field at the top.
 */
export function underTheRun(assistant: AssistantOfRun, run: RunSpec): Pick<AttemptSpec, "config" | "context"> {
  return {
    config: {
      tags: [...new Set([...(assistant.config?.tags ?? []), ...(run.config?.tags ?? [])])],
      recursionLimit: run.config?.recursionLimit ?? assistant.config?.recursionLimit,
      configurable: over(assistant.config?.configurable, run.config?.configurable),
    },
    context: over(assistant.context, run.context),
  };
}

/** JSON texts of objects. */
function over(below: Json | undefined, above: Json | undefined): Json | undefined {
  if (below === undefined || above === undefined) return above ?? below;
  return JSON.stringify({ ...(JSON.parse(below) as object), ...(JSON.parse(above) as object) });
}
