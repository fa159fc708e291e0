import type { RememberedState } from "../thread.ts";

/**
 * A remembered state is kept beside its thread up to so many characters. Each decision about the thread rewrites both, which
 * costs up to here less than a document of its own at the end of each run.
 */
const maxBeside = 64 * 1024;

/** The state as it is to be stored: one that is too large gets a document of its own, with this name. */
export function named(state: RememberedState, name: string): RememberedState {
  const texts = [state.values, ...state.interrupts.map(({ value }) => value)];
  const characters = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  return characters > maxBeside ? { ...state, apart: name } : state;
}

/** What stays beside the thread of a state that has a document of its own. Nothing is decided by the rest. */
export function besideThread(state: RememberedState): RememberedState {
  if (state.apart === undefined) return state;
  const { values: _, ...rest } = state;
  return { ...rest, interrupts: rest.interrupts.map(({ value: __, ...question }) => question) };
}

/** The whole state, for those who read it; where its document is not to be had, what is known is less. */
export function wholeState({ apart: _, ...rest }: RememberedState, whole: LargeState | undefined): RememberedState {
  return whole ? { ...rest, ...whole } : { ...rest, cut: true };
}

/** What lies apart. */
export type LargeState = Pick<RememberedState, "values" | "interrupts">;
