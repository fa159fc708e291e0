import type { RunError } from "./run/run.ts";
import { shortened } from "./shortened.ts";
import type { RememberedState, ThreadInterrupt } from "./thread.ts";

/**
 * What a graph makes has any size, and the database's documents end at 16 MB. Here is how much of it goes into the record of a
 * run or a thread; the whole of a state, its questions and its tasks' errors are where its values are kept: in the journal.
 */
const errorCharacters = 64 * 1024;
const nameCharacters = 256;
/** Of values, and of questions together; larger ones are read from the journal. */
export const rememberedCharacters = 256 * 1024;
const rememberedQuestions = 1000;
/** That there are any is what counts. */
const rememberedNext = 100;

export const boundedError = ({ name, message }: RunError): RunError => ({
  name: shortened(name, nameCharacters),
  message: shortened(message, errorCharacters),
});

/** A state as it is kept beside its thread. */
export function boundedState(state: RememberedState): RememberedState {
  const { values, next } = state;
  const interrupts = boundedQuestions(state.interrupts);
  const isWhole = interrupts.length === state.interrupts.length && interrupts.every(hasValue);
  return {
    ...state,
    values: values !== undefined && values.length <= rememberedCharacters ? values : undefined,
    next: next.slice(0, rememberedNext).map((name) => shortened(name, nameCharacters)),
    interrupts,
    ...(!isWhole && { cut: true }),
  };
}

/** The first ones whole, as far as there is room; of the others, that they are asked. */
function boundedQuestions(interrupts: readonly ThreadInterrupt[]): ThreadInterrupt[] {
  let left = rememberedCharacters;
  return interrupts.slice(0, rememberedQuestions).map(({ id, taskId, value }) => {
    left -= value?.length ?? 0;
    return left >= 0 ? { id, taskId, value } : { id, taskId };
  });
}

const hasValue = ({ value }: ThreadInterrupt): boolean => value !== undefined;
