import { callersNames } from "../domain/run/callers-names.ts";
import type { AssistantOfRun, Json, Run, RunSpec } from "../domain/run/run.ts";
import type { AttemptSpec, OpenedBy } from "./protocol.ts";

/**
 * What a run executes with: its own configuration and context over its assistant's. Tags are added up; of the rest, what the run
 * sets itself wins, field by field at the top.
 */
export function underTheRun(
  assistant: AssistantOfRun,
  run: RunSpec,
): Pick<AttemptSpec, "config" | "context" | "metadata"> {
  const metadata = [assistant.config?.metadata, run.config?.metadata, JSON.stringify(run.metadata)].reduce(over);
  return {
    config: {
      tags: [...new Set([...(assistant.config?.tags ?? []), ...(run.config?.tags ?? [])])],
      recursionLimit: run.config?.recursionLimit ?? assistant.config?.recursionLimit,
      configurable: [assistant.config?.configurable, run.config?.configurable, userOf(run)].reduce(over),
    },
    context: over(assistant.context, run.context),
    metadata: metadata!,
  };
}

/** How the run opened its graph, to read what it left with the same graph if a factory made it. */
export function openedBy({ assistant, spec }: Pick<Run, "assistant" | "spec">): OpenedBy {
  const { config, context } = underTheRun(assistant, spec);
  return { assistantId: assistant.assistantId, configurable: config.configurable, context };
}

/** What LangGraph's servers tell a graph of its caller. What a caller says of itself under these names has been left out before. */
function userOf({ caller }: RunSpec): Json | undefined {
  if (caller === undefined) return undefined;
  const { permissions = [] } = JSON.parse(caller.user) as { permissions?: unknown };
  const [user, id, granted] = callersNames;
  return `{"${user}":${caller.user},"${id}":${JSON.stringify(caller.identity)},"${granted}":${JSON.stringify(permissions)}}`;
}

/** JSON texts of objects, put together without a look at what is in them: of fields that come twice the last one counts. */
function over(below: Json | undefined, above: Json | undefined): Json | undefined {
  if (below === undefined || above === undefined) return above ?? below;
  const fields = [below, above].map((text) => text.trim().slice(1, -1).trim()).filter((text) => text !== "");
  return `{${fields.join(",")}}`;
}
