import type { HandlerContext } from "@connectrpc/connect";
import type { Run } from "../domain/run/run.ts";
import type { Thread } from "../domain/thread.ts";

/** The size that ends a page early; none over REST, whose clients take answers of any size and know no tokens. */
export const sizeIn = <T>({ protocolName }: Pick<HandlerContext, "protocolName">, sizeOf: (entry: T) => number) =>
  protocolName === "rest" ? undefined : sizeOf;

/** A run's bytes in an answer, as far as they may be many. */
export const runBytes =
  (includeInput: boolean) =>
  ({ spec, error, givenApart = 0 }: Run): number =>
    JSON.stringify([includeInput ? spec : spec.metadata, error]).length + (includeInput ? givenApart : 0);

/** A thread's. */
export const threadBytes =
  (omitValues: boolean) =>
  ({ metadata, error, state }: Thread): number => {
    const values = omitValues
      ? []
      : [state?.values ?? "", ...(state?.interrupts ?? []).map(({ value }) => value ?? "")];
    return JSON.stringify([metadata, error]).length + values.reduce((sum, { length }) => sum + length, 0);
  };
