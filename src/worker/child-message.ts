import { isObject } from "../domain/is-object.ts";
import { collectLongTexts, isJsonText, isStreamMode, messageShapes } from "./child-message-shapes.ts";
import type { ChildMessage, OutputTuple } from "./protocol.ts";

/** A message of the protocol's kind that is not as the protocol says. */
export interface WrongMessage {
  /** The attempt, or the inspection's scope, that it names, if it names any. */
  readonly scope?: string;
  /** What is wrong with it: a sentence without what the message holds. */
  readonly problem: string;
}

export interface ReadMessage {
  /** What may be trusted to be as the protocol says. */
  readonly message?: ChildMessage;
  readonly wrong: readonly WrongMessage[];
  /** Its texts of JSON that are too long to be read at once; absent when there are none. It may be trusted when each is JSON. */
  readonly longTexts?: readonly string[];
}

const nothing: readonly WrongMessage[] = [];

/**
 * Reads what came from a child process, whose graphs' code can send on the channel as well. Whatever the server does with a
 * message, stores of it or shows of it leans on this one check. Undefined for what is no message of the protocol at all: a
 * library that believes to be under a process manager sends such things.
 *
 * @param broken those of its long texts that are no JSON.
 */
export function readChildMessage(raw: unknown, broken: readonly string[] = []): ReadMessage | undefined {
  const { read, longTexts } = collectLongTexts(broken, () => readAtOnce(raw));
  return read && longTexts.length > 0 ? { ...read, longTexts } : read;
}

function readAtOnce(raw: unknown): ReadMessage | undefined {
  if (!isObject(raw) || typeof raw.type !== "string") return undefined;
  if (raw.type === "output") return readOutput(raw);
  if (!Object.hasOwn(messageShapes, raw.type)) return undefined;
  try {
    const read = messageShapes[raw.type as keyof typeof messageShapes].safeParse(raw);
    if (read.success) return { message: read.data, wrong: nothing };
    const { path, message } = read.error.issues[0]!;
    return { wrong: [wrong(raw, `${path.map(String).join(".")}: ${message}`)] };
  } catch (error) {
    // A value that holds itself has no end.
    return { wrong: [wrong(raw, error instanceof Error ? error.message : "it cannot be read")] };
  }
}

/** By hand and without a copy: it comes with every token. What is wrong of one attempt takes nothing from the others. */
function readOutput(raw: Readonly<Record<string, unknown>>): ReadMessage {
  const { of } = raw;
  if (!Array.isArray(of)) return { wrong: [wrong(raw, "of: must be a list")] };
  if (of.every(isAttemptOutput)) return { message: { type: "output", of }, wrong: nothing };
  const bad: unknown[] = of.filter((one) => !isAttemptOutput(one));
  return {
    message: { type: "output", of: of.filter(isAttemptOutput) },
    wrong: bad.map((one) =>
      wrong({ type: "output", ...(isObject(one) && { attemptId: one.attemptId }) }, "its events"),
    ),
  };
}

function isAttemptOutput(value: unknown): value is { attemptId: string; events: OutputTuple[] } {
  if (!isObject(value) || typeof value.attemptId !== "string" || !Array.isArray(value.events)) return false;
  return value.events.every(isOutputTuple);
}

function isOutputTuple(value: unknown): value is OutputTuple {
  if (!Array.isArray(value) || value.length < 4 || value.length > 5) return false;
  const [mode, name, namespace, json, after = []] = value as unknown[];
  return isStreamMode(mode) && typeof name === "string" && isTexts(namespace) && isJsonText(json) && isTexts(after);
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "string");

function wrong({ type, attemptId, scope }: Readonly<Record<string, unknown>>, what: string): WrongMessage {
  const named = [attemptId, scope].find((one) => typeof one === "string");
  return {
    ...(named !== undefined && { scope: named }),
    problem: `a message "${String(type)}" is malformed (${what})`,
  };
}
