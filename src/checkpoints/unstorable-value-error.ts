/** A value that cannot be stored, so that its run must end: what would come back is something else. */
export class UnstorableValueError extends Error {
  override readonly name = "UnstorableValueError";

  /** The sentence goes on behind the name of the field. */
  constructor(place: readonly (string | number)[], what: string) {
    super(`the graph's state cannot be stored: ${told(place)} ${what}`);
  }
}

/** For what has been thrown while the value was read. */
export function unreadable(error: unknown, place: readonly (string | number)[]): UnstorableValueError {
  if (error instanceof UnstorableValueError) return error;
  if (error instanceof RangeError) return new UnstorableValueError(place, "is nested too deeply");
  return new UnstorableValueError(place, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
}

function told(place: readonly (string | number)[]): string {
  if (place.length === 0) return "it";
  const text = place.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
  return JSON.stringify(text.replace(/^\./, ""));
}
