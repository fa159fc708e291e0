/**
 * Why something was ended in order, as `AbortController` has it by default: one for all, since each new one takes a stack, at every
 * call and every run.
 */
export const aborted: Error = new DOMException("This operation was aborted", "AbortError");
