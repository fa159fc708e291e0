import type { IncomingHttpHeaders } from "node:http";
import { createContextKey, type HandlerContext } from "@connectrpc/connect";

/** Who calls. */
export interface Caller {
  /** The tenant: nothing of one owner is seen, counted, waited for or stopped by another. */
  readonly owner: string;
}

/** Who sends a request of any protocol, by what it brings. */
export type Identify = (request: { readonly headers: IncomingHttpHeaders }) => Caller;

/** Everybody, as long as access control is off. */
export const anybody: Caller = { owner: "" };

export const callerKey = createContextKey<Caller | undefined>(undefined, { description: "who calls" });

/** Throws for a call that nobody is known to have made: it must not pass for one of anybody's. */
export function callerOf({ values }: Pick<HandlerContext, "values">): Caller {
  const caller = values.get(callerKey);
  if (caller === undefined) throw new Error("It is not known who calls");
  return caller;
}

export const ownerOf = (context: Pick<HandlerContext, "values">): string => callerOf(context).owner;
