import { invalid } from "../check-metadata.ts";
import { isObject } from "../is-object.ts";
import { outlineJson } from "../outline-json.ts";
import { isObjectText } from "./check-config.ts";
import type { Json, RunSpec } from "./run.ts";

/**
 * Throws INVALID_FIELD for a command that says nothing, which LangGraph would fail on after its run has begun, and for an update or
 * a node of a name that no graph can have. A null that stands for the answer is none: LangGraph cannot tell the two apart.
 */
export function checkCommand(command: RunSpec["command"]): void {
  if (!command) return;
  const { resume, update, goto, sends = [] } = command;
  const channels = updatedChannels(update);
  for (const name of channels) checkChannel(name, "spec.command.update");
  for (const name of goto) checkName(name, "spec.command.goto");
  for (const [place, { node }] of sends.entries()) checkName(node, `spec.command.sends[${place}].node`);
  if (hasAnswer(resume) || channels.length + goto.length + sends.length > 0) return;
  throw invalid(
    "spec.command",
    "says nothing: it needs an answer in resume that is not null, an update of at least one channel, or a node to go to; a run " +
      "without command and input goes on from where its thread stands",
  );
}

/** Whether an answer is given. */
export const hasAnswer = (resume: Json | undefined): resume is Json => resume !== undefined && resume.trim() !== "null";

/** The channels that an update names: an object's fields, or the first of each pair of a list. */
function updatedChannels(update: Json | undefined): string[] {
  const value: unknown = update === undefined ? {} : JSON.parse(isObjectText(update) ? namesOf(update) : update);
  if (Array.isArray(value) && value.every(isPair)) return value.map(([channel]) => channel);
  if (isObject(value)) return Object.keys(value);
  throw invalid("spec.command.update", "must be a JSON object, or a list of pairs of a channel and its update");
}

/** An object's fields without what is in them, which may be much. */
const namesOf = (text: Json): Json => outlineJson(text, { maxText: 10_000, maxDepth: 1 });

const isPair = (value: unknown): value is [string, unknown] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string";

/** Channels that clients may write although their names look like LangGraph's own: the state itself, and the input. */
const open = new Set(["__root__", "__start__"]);

/** Two underscores begin the names of what LangGraph keeps for itself beside the state: its tasks, answers and errors. */
function checkChannel(name: string, field: string): void {
  checkName(name, field);
  if (name.startsWith("__") && !open.has(name)) {
    throw invalid(field, `the channel ${JSON.stringify(name)} is LangGraph's own`);
  }
}

/**
 * LangGraph looks names up in plain objects, which have fields such as "constructor" whatever was put into them, and keeps what it
 * then cannot apply: the thread could never be read again.
 */
function checkName(name: string, field: string): void {
  if (name in Object.prototype) throw invalid(field, `no graph can have the name ${JSON.stringify(name)}`);
}
