/** What is wrong with a request's body: `malformed` and `field` are about what it says, `too_large` about how much. */
export type BodyFault = "malformed" | "field" | "too_deep" | "too_large" | "busy";

/** A body that is refused before anybody looks at its meaning. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  readonly fault: BodyFault;
  /** The field's path in the request, for `field`. */
  readonly field: string | undefined;

  constructor(fault: BodyFault, message: string, field?: string) {
    super(message);
    this.fault = fault;
    this.field = field;
  }
}

/**
 * How deep JSON may be nested: what can be read can be much deeper than what can be written again, in a child or by a client.
 * LangGraph's own values are nested some ten levels deep.
 */
export const maxDepth = 1000;

export const tooDeep = (): BodyError => new BodyError("too_deep", `must not be nested deeper than ${maxDepth} levels`);

export const tooMany = (most: number, what = "values"): BodyError =>
  new BodyError("too_large", `has more than ${most} ${what}`);

/** Of small bodies. Reading one takes some 10 ms at most. */
export const smallBytes = 256 * 1024;
export const smallValues = 5_000;
