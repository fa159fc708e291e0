import { setTimeout as delay } from "node:timers/promises";
import { aborted } from "../domain/aborted.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import { isDatabaseUnavailable } from "../storage/database.ts";
import type { JournalCollection } from "../storage/journal.ts";
import { anyToken, type JournalDocument, slotKey } from "../storage/journal-documents.ts";
import { newestOf } from "../storage/journal-queries.ts";
import { key } from "../storage/keys.ts";
import { flushDocuments } from "./flush-documents.ts";
import { FencedError, type JournalFlush, type JournalPort } from "./journal-port.ts";
import { createJournalReader } from "./journal-reader.ts";
import { type JournalPosition, maxKeptBytes } from "./kept-journals.ts";
import { rememberNewest } from "./remember-newest.ts";

export interface WriterOptions {
  /** The server-made id of the thread's incarnation. */
  readonly journal: string;
  readonly threadId: string;
  readonly owner: string;
  /** Absent for an update from outside a run. */
  readonly runId?: string;
  readonly token: string;
  /** Whether the token is still the lease token of its run. Asked when a fence record for another token is met. */
  stillMine(): Promise<boolean>;
  /** Where the journal stands, if nobody else can have written since. */
  readonly position?: JournalPosition;
  /** Whether by the clock alone the lease is held for sure, so that nobody has fenced the token. Spares the look for fence records. */
  isHeld?(): boolean;
}

export interface JournalWriter extends JournalPort {
  /** The highest slot that this writer knows to be taken. */
  readonly headSlot: number;
  /** The root namespace's newest checkpoint when the journal was opened; null if there was none, undefined if that takes a look. */
  readonly newestAtOpen: string | null | undefined;
  /**
   * Accepts nothing more and resolves when what is in flight has settled. Not clean: an insert's fate is unknown, so the
   * token must be fenced before anything is made of what the journal shows. Clean, it may know where it has left the journal.
   */
  close(): Promise<{ clean: boolean; position?: JournalPosition }>;
}

const retryMinMs = 5;
const retryMaxMs = 1_000;
const readRetryMs = 100;

/**
 * Opens a journal for one lease token. Rejects with a {@link FencedError} when the token is fenced already: a writer that
 * opened late would otherwise start beyond its fence records.
 */
export async function openJournalWriter(journal: JournalCollection, options: WriterOptions): Promise<JournalWriter> {
  // The head first: a fence record that lands after this read lies ahead of it.
  const { position } = options;
  const last = position ? undefined : await journal.last(options.journal);
  const mayBeFenced = last !== undefined && !options.isHeld?.();
  if (mayBeFenced && (await journal.firstFence(options.journal, options.token)) !== undefined) throw fenced();

  const newestAtOpen = last && newestOf(last, "");
  let newest = newestAtOpen;
  let headSlot = position?.slot ?? last?.slot ?? 0;
  let lastFlushId: string | undefined;
  let closed = false;
  let clean = true;
  let queue: Promise<unknown> = Promise.resolve();
  const givenUp = new AbortController();

  async function land(content: Partial<JournalDocument>, flushId: string): Promise<void> {
    let retryMs = retryMinMs;
    for (let slot = headSlot + 1; ; ) {
      const outcome = await journal.insert({
        _id: slotKey(options.journal, slot),
        journal: options.journal,
        slot,
        owner: options.owner,
        thread_id: key(options.owner, options.threadId),
        ...(options.runId !== undefined && { run_id: options.runId }),
        token: options.token,
        flush_id: flushId,
        ...content,
      });
      if (outcome === "inserted") {
        headSlot = slot;
        return;
      }
      const occupant = outcome === "taken" ? await occupantOf(slot) : undefined;
      if (occupant !== undefined) {
        headSlot = slot;
        if (occupant === "landed") return;
        slot += 1;
        continue;
      }
      await pause(retryMs);
      retryMs = Math.min(2 * retryMs, retryMaxMs);
    }

    /** Undefined: it cannot be told yet. */
    async function occupantOf(slot: number): Promise<"landed" | "passed" | undefined> {
      const found = await journal.at(options.journal, slot).catch(() => undefined);
      if (found === undefined) return undefined;
      if (found.flush_id === flushId) return "landed";
      const forAnother = found.fences !== undefined && found.fences !== options.token && found.fences !== anyToken;
      const mine = forAnother && (await options.stillMine().catch(() => undefined));
      if (mine === false) throw fenced();
      return mine && "passed";
    }
  }

  /** Between two tries of the same insert. Once the writer is given up, the insert's fate stays unknown. */
  async function pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: givenUp.signal }).catch(() => {});
    if (!givenUp.signal.aborted) return;
    clean = false;
    throw new Error("The journal's writer was closed before the database had confirmed a write");
  }

  async function append(flush: JournalFlush): Promise<void> {
    if (flush.flushId === lastFlushId) return;
    newest = undefined;
    const contents = flushDocuments(flush);
    for (const [part, content] of contents.entries()) await land(content, `${flush.flushId}/${part}`);
    lastFlushId = flush.flushId;
  }

  const reader = createJournalReader(journal, options.journal, () => newest);
  /** A graph that reads while the database is away waits for it; the driver's error would be taken for the graph's own. */
  const insist = <T>(what: () => Promise<T>): Promise<T> =>
    keepTrying(what, {
      isTransient: isDatabaseUnavailable,
      pause: () => delay(readRetryMs, undefined, { signal: givenUp.signal }).catch(() => {}),
      signal: givenUp.signal,
    });

  const inJournal: JournalPort = {
    read: (query) => insist(() => reader.read(query)),
    list: (query) => insist(() => reader.list(query)),
    append(flush) {
      if (closed) return Promise.reject(fenced());
      const done = queue.then(() => append(flush));
      // After a failure nothing may follow: a later flush builds on the one that is missing.
      queue = done;
      done.catch(() => {});
      return done;
    },
  };
  const port = rememberNewest(inJournal, position ? position.newest : last ? undefined : null, maxKeptBytes);

  return {
    read: port.read,
    list: port.list,
    append: port.append,
    newestAtOpen: position ? (position.newest?.checkpointId ?? null) : last ? newestAtOpen?.entry.id : null,
    get headSlot() {
      return headSlot;
    },
    async close() {
      closed = true;
      givenUp.abort(aborted);
      await Promise.allSettled([queue]);
      const { newest } = port;
      if (!clean || newest === undefined) return { clean };
      return { clean, position: { slot: headSlot, newest: newest && apart(newest) } };
    },
  };
}

/** The same with bytes of its own: those are parts of the messages that they came with, which would be kept as a whole. */
function apart<T>(value: T): T {
  if (value instanceof Uint8Array) return Uint8Array.prototype.slice.call(value) as T;
  if (Array.isArray(value)) return value.map(apart) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, apart(one)])) as T;
}

const fenced = () => new FencedError("The attempt may not write to its thread's journal any more");
