import { goThrough, pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes, RunStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Run } from "../domain/run/run.ts";
import type { Act } from "../domain/thread/act.ts";
import { entryOf } from "../domain/thread/entry.ts";
import { projectionOf } from "../domain/thread/project.ts";
import { keyOfThread, type ThreadName } from "../domain/thread.ts";
import { liveStatuses } from "../domain/transitions.ts";

export interface SweepParts {
  readonly lanes: Pick<Lanes, "read" | "readMany" | "owing" | "removing" | "sweepStates">;
  readonly runs: Pick<RunStore, "unentered" | "saidToLive" | "deleteUnentered" | "project" | "sweepSpecs">;
  readonly act: Pick<Act, "decide" | "payDebts">;
  /** The database's time. */
  readonly now: () => Date;
  readonly leaseMs: number;
  /** After that no thread is born any more by a decision that was begun before. */
  readonly lateMs: number;
  /** Whether a round that begins is this server's. */
  readonly isMyRound: () => boolean;
  readonly removeThread: (name: ThreadName) => Promise<void>;
  /** What other parts repair after these, by what it is; each gets the time of a lease ago. */
  readonly others?: Readonly<Record<string, (aLeaseAgo: Date) => Promise<void>>>;
  readonly onError: (error: unknown, what: string) => void;
}

export interface Sweep {
  /** One sweep, at once; joins the one that is under way. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
}

/** What one look brings. */
const chunk = 100;
/** What is repaired side by side. */
const atATime = 8;

/**
 * Does what a crash, or a write that came too late, has left: ends that are not told, records without an entry, removals. Every
 * step is guarded and can be done by several servers at once.
 */
export function createSweep(parts: SweepParts): Sweep {
  const { lanes, runs, act } = parts;
  let stopped = false;
  const rounds = createRounds(sweep, {
    everyMs: parts.leaseMs / 3,
    onError: (error) => parts.onError(error, "a round"),
  });

  const ago = (leases: number) => new Date(parts.now().getTime() - leases * parts.leaseMs);

  async function sweep(): Promise<void> {
    if (!parts.isMyRound()) return;
    const aLeaseAgo = ago(1).getTime();
    await each<FoundThread>("pay debts", (page) => lanes.owing(aLeaseAgo, page), act.payDebts);
    await each<FoundThread>("finish removals", (page) => lanes.removing(aLeaseAgo, page), parts.removeThread);
    await each(
      "look after records without an entry",
      ({ limit, after }) => runs.unentered(ago(2), limit, after),
      lookAfter,
    );
    await attempt("look after records of runs that live no more", lookAfterSome);
    await attempt("look after what runs were given", () => runs.sweepSpecs(ago(2)));
    await attempt("look after large states", () => lanes.sweepStates(ago(2)));
    for (const [what, repair] of Object.entries(parts.others ?? {})) await attempt(what, () => repair(ago(1)));
  }

  async function attempt(what: string, step: () => Promise<void>): Promise<void> {
    if (!stopped) await step().catch((error) => parts.onError(error, what));
  }

  /** Goes through all pages. What fails is left to the next round, and holds up nothing else. */
  async function each<T>(
    what: string,
    find: (page: { readonly limit: number; readonly after?: T }) => Promise<T[]>,
    repair: (one: T) => Promise<void>,
  ): Promise<void> {
    const onError = (error: unknown) => parts.onError(error, what);
    await attempt(what, () => goThrough(pagesOf(chunk, find), repair, { atATime, isStopped: () => stopped, onError }));
  }

  /** Page after page of the records that say of their runs that they live, in rounds without end. */
  async function* pagesSaidToLive(): AsyncGenerator<Run[]> {
    for (const status of liveStatuses) {
      yield* pagesOf<Run>(chunk, ({ limit, after }) => runs.saidToLive(status, ago(2), limit, after));
    }
  }
  let saidToLive = pagesSaidToLive();

  /**
   * One page in each sweep. What a late change has left: it has met the record that another try of the same request has made anew, and
   * that nobody will ever enter.
   */
  async function lookAfterSome(): Promise<void> {
    const next = await saidToLive.next();
    if (next.done) {
      saidToLive = pagesSaidToLive();
      return;
    }
    const page = next.value;
    const threads = new Map(page.map((run): [string, ThreadName] => [keyOfThread(run), run]));
    const found = await lanes.readMany([...threads.values()]);
    const controls = new Map(found.map(({ origin, control }) => [keyOfThread(origin), control]));
    for (const run of page) {
      const control = controls.get(keyOfThread(run));
      if (!control || !entryOf(control, run.runId)) await lookAfter(run);
    }
  }

  /** A record that has its entry is well, and not looked at again; one that no entry came for goes. */
  async function lookAfter(run: Run): Promise<void> {
    const stored = await lanes.read(run);
    const entry = stored && entryOf(stored.control, run.runId);
    if (entry) {
      await runs.project(run, projectionOf(entry, stored.origin.journal));
      return;
    }
    // The decision that was to bring the entry misses from here on, unless the thread is to be born by it.
    const acted = await act.decide(run, { kind: "forget", run: run.runId, lacks: "entry" });
    const mayBeBorn = !acted && run.changes === 0;
    if (mayBeBorn && run.createdAt.getTime() > parts.now().getTime() - parts.lateMs) return;
    if (acted?.answer.did !== "missed") await runs.deleteUnentered(run);
  }

  return {
    sweep: rounds.join,
    async stop() {
      stopped = true;
      await rounds.stop();
    },
  };
}
