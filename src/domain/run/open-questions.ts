import { isObject } from "../is-object.ts";

/** LangGraph's ids of interrupts. */
const interruptId = /^[0-9a-f]{32}$/;

/** How many ids a sentence names. */
const namedIds = 10;

/**
 * Why an answer (JSON text) is none to the questions that are open, by their ids; undefined when it is one. As LangGraph reads it, an
 * object whose names are all ids of interrupts answers each of those, and any other value answers the one question that is open.
 */
export function refusalOfAnswer(answer: string, open: readonly string[]): string | undefined {
  if (open.length === 0) return "no question is open, so that there is nothing to answer";
  const ids = answeredIds(JSON.parse(answer));
  const listed = `${open.slice(0, namedIds).join(", ")}${open.length > namedIds ? " and others" : ""}`;
  if (ids === undefined) {
    return open.length === 1
      ? undefined
      : `${open.length} questions are open, so that the answer must say which it is for: an object from their ids to answers; ` +
          `they are ${listed}`;
  }
  if (ids.length === 0) {
    return `an empty object names no question; as an answer it is given by the question's id; open is ${listed}`;
  }
  const closed = ids.find((id) => !open.includes(id));
  return closed && `the question ${closed} is not open, or has been answered; open is ${listed}`;
}

function answeredIds(answer: unknown): string[] | undefined {
  if (!isObject(answer)) return undefined;
  const names = Object.keys(answer);
  return names.every((name) => interruptId.test(name)) ? names : undefined;
}
