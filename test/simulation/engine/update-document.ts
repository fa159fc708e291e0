import { copyOf } from "./copy-of.ts";
import { evaluated } from "./expression.ts";
import { type Doc, type Filter, matches } from "./matches.ts";

export type Update =
  | Readonly<Record<string, Readonly<Record<string, unknown>>>>
  | readonly ({ readonly $set: object } | { readonly $replaceWith: object })[];

/**
 * The document after an update, as far as MongoDB's updates are used; `inserts` when it did not exist before. A pipeline is a list of
 * stages, each of whose expressions is about the document as the stage before it has left it.
 */
export function updated(doc: Doc, update: Update, now: Date, inserts = false): Doc {
  const next = copyOf(doc) as Record<string, unknown>;
  if (Array.isArray(update)) {
    for (const stage of update) {
      if ("$replaceWith" in stage) return copyOf(evaluated(stage.$replaceWith, next, now)) as Doc;
      const values = Object.entries(stage.$set).map(([name, value]) => [name, evaluated(value, next, now)] as const);
      for (const [name, value] of values) put(next, name, value);
    }
    return next as Doc;
  }
  for (const [operator, fields] of Object.entries(update)) {
    for (const [name, operand] of Object.entries(fields as Record<string, unknown>)) {
      apply(next, operator, name, operand, { now, inserts });
    }
  }
  return next as Doc;
}

function apply(
  doc: Record<string, unknown>,
  operator: string,
  name: string,
  operand: unknown,
  { now, inserts }: { readonly now: Date; readonly inserts: boolean },
): void {
  switch (operator) {
    case "$set":
      put(doc, name, operand);
      return;
    case "$setOnInsert":
      if (inserts) put(doc, name, operand);
      return;
    case "$unset":
      put(doc, name, undefined);
      return;
    case "$inc":
      doc[name] = ((doc[name] as number | undefined) ?? 0) + (operand as number);
      return;
    case "$push": {
      const { $each, $slice } = operand as { $each: unknown[]; $slice: number };
      doc[name] = [...((doc[name] as unknown[] | undefined) ?? []), ...$each].slice($slice);
      return;
    }
    case "$pull":
      if (doc[name]) doc[name] = (doc[name] as object[]).filter((one) => !matches(one, operand as Filter, now));
      return;
    default:
      throw new Error(`the simulated database does not know ${operator}`);
  }
}

/** What is undefined is removed. */
function put(doc: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split(".");
  const last = names.pop()!;
  let target = doc;
  for (const name of names) {
    if (target[name] === undefined && value === undefined) return;
    target[name] ??= {};
    target = target[name] as Record<string, unknown>;
  }
  if (value === undefined) delete target[last];
  else target[last] = copyOf(value);
}
