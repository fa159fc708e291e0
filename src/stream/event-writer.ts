import { FencedError } from "../checkpoints/journal-port.ts";
import { aborted } from "../domain/aborted.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import type { RunEventStore } from "../domain/ports.ts";
import type { RunName } from "../domain/run/run.ts";
import type { EventChunk, EventHead, NewChunk, WholeEvent } from "../domain/run/run-events.ts";
import { inChunks } from "./event-chunks.ts";
import { createEventPacker } from "./pack-events.ts";

/** Before the first chunk: only the created event, which is not stored, has a number. */
const firstEventHead: EventHead = { chunk: 0, last: 1 };

/** Writes the events of one attempt. Gapless: the next chunk goes out only when the one before it is stored. */
export interface EventWriter {
  /**
   * Resolves when the events are stored. Rejects with {@link FencedError} when the attempt may not write any more, and with
   * another error when they cannot be stored at all; no later append is accepted then.
   */
  append(events: readonly WholeEvent[]): Promise<void>;
  /** The same for one event that goes with the next append, or by itself when none comes within {@link soonMs} or at the close. */
  appendSoon(event: WholeEvent): Promise<void>;
  /**
   * No later append is accepted. Resolves, when what is under way has settled, to the last stored sequence number; `clean`
   * is false when the fate of a write is unknown, in which case the run's events must be fenced. So it is also when the write has
   * been repeated: the first copy may still come, and would find its place free once the run's events are removed.
   */
  close(): Promise<{ last: number; clean: boolean }>;
}

/** A run without output shows by then that it executes. */
const soonMs = 20;

export interface EventWriterOptions {
  readonly run: RunName;
  /** Of the run's thread. */
  readonly journal: string;
  readonly token: string;
  readonly store: RunEventStore;
  /** Called with each chunk once it is stored. */
  readonly published: (chunk: EventChunk) => void;
  /** Whether the database is away for the moment: the write is tried again. */
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: (signal?: AbortSignal) => Promise<unknown>;
  /** Nobody has written events of the run before: it begins at the beginning, where a fence record for it would meet it. */
  readonly isFirst: boolean;
}

/** Rejects with a FencedError when the token is fenced already: a writer that opens late would start beyond its fence record. */
export async function openEventWriter(options: EventWriterOptions): Promise<EventWriter> {
  const { run, token, store } = options;
  // The head first: a fence record that lands after this read lies ahead of it.
  let { chunk, last } = options.isFirst ? firstEventHead : await store.head(run);
  if (!options.isFirst && (await store.isFenced(run, token))) throw new FencedError("the attempt is fenced");
  const pack = createEventPacker();
  let clean = true;
  let failure: unknown;
  let chain: Promise<void> = Promise.resolve();
  const closing = new AbortController();

  async function write(events: readonly WholeEvent[]): Promise<void> {
    const packed = pack(events, last + 1);
    /** An earlier try may have landed all the same. */
    let doubtful = false;
    function isTransient(error: unknown): boolean {
      if (error instanceof FencedError || !options.isTransient(error)) return false;
      doubtful = true;
      clean = false;
      return true;
    }
    await keepTrying(
      async () => {
        for (;;) {
          const next: NewChunk = {
            run,
            journal: options.journal,
            chunk,
            token,
            isFence: false,
            first: last + 1,
            last: last + events.length,
            events: packed,
          };
          const landed = await store.insert(next);
          if (!landed && !(await isMine(next, doubtful))) continue;
          last = next.last!;
          chunk += 1;
          options.published({ first: next.first!, last, events });
          return;
        }
      },
      { isTransient, pause: options.pause, signal: closing.signal },
    );
  }

  /** The number was taken: by this very chunk in an earlier try, by a fence record to step over, or by one that stops us. */
  async function isMine(next: NewChunk, doubtful: boolean): Promise<boolean> {
    const there = await store.chunk(run, next.chunk);
    if (doubtful && there && !there.isFence && there.token === token && there.first === next.first) return true;
    if (!there?.isFence || there.token === token) throw new FencedError("another attempt writes this run's events");
    chunk += 1;
    return false;
  }

  function append(events: readonly WholeEvent[]): Promise<void> {
    if (closing.signal.aborted) return Promise.reject(new FencedError("the attempt is closed"));
    const written = chain.then(async () => {
      if (failure !== undefined) throw failure;
      for (const part of inChunks(events)) await write(part);
    });
    chain = written.catch((error) => {
      failure ??= error;
    });
    return written;
  }

  /** What was put off, which its own caller hears of. */
  let soon: { events: WholeEvent[]; timer: NodeJS.Timeout; written: PromiseWithResolvers<void> } | undefined;

  function withSoon(events: readonly WholeEvent[]): Promise<void> {
    if (!soon) return append(events);
    const { events: first, timer, written } = soon;
    soon = undefined;
    clearTimeout(timer);
    const all = append([...first, ...events]);
    all.then(written.resolve, written.reject);
    return all;
  }

  return {
    append: withSoon,
    appendSoon(event) {
      soon ??= {
        events: [],
        timer: setTimeout(() => void withSoon([]).catch(() => undefined), soonMs),
        written: Promise.withResolvers(),
      };
      soon.events.push(event);
      return soon.written.promise;
    },
    async close() {
      if (soon) void withSoon([]).catch(() => undefined);
      closing.abort(aborted);
      await chain;
      return { last, clean };
    },
  };
}

/**
 * Makes it impossible that the holder of the token stores another event of the run. Answers the last sequence number.
 * Repeatable.
 */
export async function fenceEvents(
  store: RunEventStore,
  run: RunName,
  { journal, token }: { readonly journal: string; readonly token: string },
): Promise<number> {
  for (;;) {
    const head = await store.head(run);
    const fence: NewChunk = {
      run,
      journal,
      chunk: head.chunk,
      token,
      isFence: true,
      first: null,
      last: null,
      events: [],
    };
    if (await store.insert(fence)) return (await store.head(run)).last;
  }
}
