import type { AuthQuestion } from "../../access/langgraph/messages.ts";
import type { NewRun } from "../../domain/run/new-run.ts";
import type { Json, RunSpec } from "../../domain/run/run.ts";

/** What an auth file is told of a run that is to be created, as LangGraph's server has it. */
export function runQuestion(
  { threadId, createThread, stateless, runId, isChosenId, spec }: Omit<NewRun, "owner">,
  assistantId: string,
): Pick<AuthQuestion, "value" | "texts"> {
  const value = {
    thread_id: stateless ? null : threadId,
    assistant_id: assistantId,
    // One that the server chooses is not known before it is created.
    run_id: isChosenId ? runId : null,
    status: "pending",
    metadata: spec.metadata,
    prevent_insert_if_inflight: spec.multitaskStrategy === "reject",
    multitask_strategy: spec.multitaskStrategy,
    if_not_exists: createThread ? "create" : "reject",
    after_seconds: (spec.afterMs ?? 0) / 1000,
  };
  const { input, command, config, context } = spec;
  const rest = {
    stream_mode: spec.streamModes,
    subgraphs: spec.streamSubgraphs,
    interrupt_before: spec.interruptBefore,
    interrupt_after: spec.interruptAfter,
    webhook: spec.webhook,
    temporary: stateless?.temporary ?? false,
  };
  const kwargs = objectText({
    input,
    command: command && commandJson(command),
    config: configJson(config) ?? "{}",
    context,
    ...texts(rest),
  });
  return { value, texts: { kwargs } };
}

const commandJson = ({ resume, update, goto, sends }: NonNullable<RunSpec["command"]>): Json =>
  objectText({ resume, update, ...texts({ goto, sends: sends?.map(({ node }) => node) }) });

/** A configuration as LangGraph's server spells it. */
export const configJson = (config: RunSpec["config"]): Json | undefined =>
  config &&
  objectText({
    configurable: config.configurable,
    metadata: config.metadata,
    ...texts({ tags: config.tags, recursion_limit: config.recursionLimit }),
  });

const texts = (fields: object): Record<string, Json | undefined> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)]));

/** An object of values that are JSON texts already. */
function objectText(fields: Readonly<Record<string, Json | undefined>>): Json {
  const given = Object.entries(fields).filter(([, text]) => text !== undefined);
  return `{${given.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}
