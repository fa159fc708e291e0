import { type LargeState, wholeState } from "../domain/thread/large-state.ts";
import type { RememberedState, Thread, ThreadName } from "../domain/thread.ts";
import type { Collections } from "./collections.ts";
import type { StateDocument, StateNote } from "./documents.ts";
import { insertFree } from "./insert-each.ts";
import { noteOf, notesBefore } from "./notes.ts";
import { threadKey } from "./run-document.ts";

type State = RememberedState | undefined;

/**
 * What is remembered of threads that is too large to stand beside their lanes. A document is stored before the decision that
 * names it, and goes after the one that names another; a note beside each that may be of no use lets a sweep find it.
 */
export interface ThreadStates {
  /** Before a decision that puts the one in the place of the other. */
  prepare(name: ThreadName, before: State, after: State): Promise<void>;
  /** After it has landed: goes on by itself, and what fails is left to the sweep. */
  tidy(name: ThreadName, before: State, after: State): void;
  /** Of a thread that goes. */
  remove(name: ThreadName, state: State): Promise<void>;
  /** The same threads with the whole of what is remembered; undefined where that has been replaced since, or was removed. */
  whole(threads: readonly Thread[]): Promise<(Thread | undefined)[]>;
  /** Removes what no thread has named since before the time. */
  sweep(before: Date): Promise<void>;
}

const nameOf = (thread: string, apart: string): string => `${thread}/${apart}`;

export function createThreadStates(
  { threads, threadStates, threadStateNotes }: Pick<Collections, "threads" | "threadStates" | "threadStateNotes">,
  now: () => Date,
): ThreadStates {
  async function remove(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await threadStates.bulkWrite(ids.map((_id) => ({ deleteOne: { filter: { _id } } })));
  }

  /** Those that a decision brings, and those that it leaves. */
  function changed(name: ThreadName, before: State, after: State) {
    const thread = threadKey(name);
    const [was, is] = [before?.apart, after?.apart];
    const isSame = was === is;
    return {
      thread,
      left: was === undefined || isSame ? undefined : nameOf(thread, was),
      brought: is === undefined || isSame ? undefined : nameOf(thread, is),
    };
  }

  return {
    async prepare(name, before, after) {
      const { thread, left, brought } = changed(name, before, after);
      const place = { owner: name.owner, thread_id: thread };
      const at = now();
      const notes = [left, brought].filter((one) => one !== undefined);
      const documents: (StateDocument | StateNote)[] = notes.map((_id) => ({
        _id: noteOf(_id),
        ...place,
        state: _id,
        at,
      }));
      if (brought !== undefined) {
        const { values, interrupts } = after!;
        documents.push({ _id: brought, ...place, text: JSON.stringify({ values, interrupts } satisfies LargeState) });
      }
      if (documents.length === 0) return;
      // A write that is sent once more finds some of these documents stored; the others are stored all the same.
      await insertFree(threadStates, documents as StateDocument[]);
    },

    tidy(name, before, after) {
      const { left, brought } = changed(name, before, after);
      const notes = [left, brought].filter((one) => one !== undefined).map(noteOf);
      remove(left === undefined ? notes : [left, ...notes]).catch(() => undefined);
    },

    async remove(name, state) {
      if (state?.apart === undefined) return;
      const id = nameOf(threadKey(name), state.apart);
      await remove([id, noteOf(id)]);
    },

    async whole(found) {
      const idOf = (thread: Thread) => thread.state?.apart && nameOf(threadKey(thread), thread.state.apart);
      const ids = found.map(idOf).filter((id) => id !== undefined);
      if (ids.length === 0) return [...found];
      const documents = await threadStates.find({ _id: { $in: ids } }).toArray();
      const texts = new Map(documents.map(({ _id, text }) => [_id, text]));
      return found.map((thread) => {
        const id = idOf(thread);
        if (id === undefined) return thread;
        const text = texts.get(id);
        return text === undefined ? undefined : { ...thread, state: wholeState(thread.state!, JSON.parse(text)) };
      });
    },

    /** Index: notes_of_thread_states. */
    async sweep(before) {
      for await (const notes of notesBefore(threadStateNotes, before)) {
        const docs = await threads
          .find({ _id: { $in: notes.map(({ thread_id }) => thread_id) } })
          .project<{ _id: string; state?: string | null }>({ state: 1 })
          .toArray();
        const named = new Set(docs.flatMap(({ _id, state }) => (state ? nameOf(_id, JSON.parse(state).apart) : [])));
        for (const { _id, state } of notes) await remove(named.has(state) ? [_id] : [state, _id]);
      }
    },
  };
}
