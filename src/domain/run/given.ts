import type { AssistantOfRun, Run, RunSpec } from "./run.ts";

/** What a run was given, which may have megabytes: its input, or what stands for it, and the settings, its assistant's included. */
export interface Given {
  readonly spec: Pick<RunSpec, "input" | "command" | "config" | "context">;
  readonly assistant: Pick<AssistantOfRun, "config" | "context">;
}

export const givenOf = ({ spec, assistant }: Pick<Run, "spec" | "assistant">): Given => ({
  spec: { input: spec.input, command: spec.command, config: spec.config, context: spec.context },
  assistant: { config: assistant.config, context: assistant.context },
});

/** The same run with that in the place of what it has. */
export const withGiven = <R extends Pick<Run, "spec" | "assistant">>(run: R, { spec, assistant }: Given): R => ({
  ...run,
  spec: { ...run.spec, ...spec },
  assistant: { ...run.assistant, ...assistant },
});

export const withoutGiven = <R extends Pick<Run, "spec" | "assistant">>(run: R): R =>
  withGiven(run, {
    spec: { input: undefined, command: undefined, config: undefined, context: undefined },
    assistant: { config: undefined, context: undefined },
  });

/** How many characters it has, field names apart. */
export function charactersOf(given: Given): number {
  let characters = 0;
  JSON.stringify(given, (_, value) => {
    if (typeof value !== "string") return value;
    characters += value.length;
    return undefined;
  });
  return characters;
}
