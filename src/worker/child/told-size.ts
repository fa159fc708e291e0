import { shortened } from "../../domain/shortened.ts";
import { toJsonText } from "./json-text.ts";

/** An event's JSON of so many characters fits the database's documents, at three bytes for each. */
const eventCharacters = 5 * 1024 * 1024;
/** Of an error, or of a question, in an event that would be too large with the whole of it. */
const partCharacters = 64 * 1024;

/**
 * The JSON text of an event's data. A question or a task's error that makes it too large to be stored is told in short, since the
 * thread's state has the whole of it: the run does not end for it. What else is too large is the run's own output, and stays.
 */
export function toldText(data: unknown): string {
  const text = toJsonText(data);
  return text.length <= eventCharacters ? text : toJsonText(inShort(data));
}

const lists = ["__interrupt__", "interrupts"];
const inside = ["payload", "tasks"];

function inShort(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(inShort);
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, fieldInShort(name, value)]));
}

function fieldInShort(name: string, value: unknown): unknown {
  if (lists.includes(name) && Array.isArray(value)) return value.map(questionInShort);
  if (inside.includes(name)) return inShort(value);
  return name === "error" ? errorInShort(value) : value;
}

function questionInShort(question: unknown): unknown {
  if (Array.isArray(question)) return question.map(questionInShort);
  const characters = toJsonText(question).length;
  if (characters <= partCharacters || typeof question !== "object") return question;
  return { ...question, value: null, left_out: { characters, of: "value" } };
}

function errorInShort(error: unknown): unknown {
  if (typeof error === "string") return shortened(error, partCharacters);
  if (typeof error !== "object" || error === null) return error;
  const { name, message } = error as { name?: unknown; message?: unknown };
  return { ...error, name, message: typeof message === "string" ? shortened(message, partCharacters) : message };
}
