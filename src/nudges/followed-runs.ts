import type { Nudge } from "../domain/nudge.ts";
import type { Lanes, RunEventStore, RunStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import { keyOfRun, type Run, type RunName, runName } from "../domain/run/run.ts";
import { entryOf } from "../domain/thread/entry.ts";
import { keyOfThread } from "../domain/thread.ts";

export interface FollowedRunsParts {
  readonly runs: Pick<RunStore, "findMany">;
  readonly lanes: Pick<Lanes, "readMany">;
  readonly events: Pick<RunEventStore, "head" | "withChunk">;
  /** This server's present name. */
  readonly self: () => string;
  readonly executesHere: (run: RunName) => boolean;
  /** The other servers that live. */
  readonly others: () => readonly string[];
  readonly send: (to: string, nudge: Nudge) => void;
  /** There may be new events of the run; it may be over. */
  readonly published: (run: RunName) => void;
  readonly ended: (run: RunName) => void;
  /** How often to look at all of them, in case nobody told. */
  readonly everyMs: number;
  /** How often to tell the servers again that they are followed. */
  readonly renewMs: number;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

/** The runs whose events are read here, or whose end is waited for, wherever they execute. */
export interface FollowedRuns {
  /** Somebody follows the run until the answer is called. */
  follow(run: RunName, what: "events" | "end"): () => void;
  /** The server was asked to tell of the run's end: who begins to wait for it need not ask it. */
  askedToTellOf(run: RunName, server: string): void;
  /** Looks at all that do not execute here, at once. */
  lookAtAll(): void;
  /** Of runs that do not execute here. */
  readonly size: number;
  stop(): void;
}

/** So long after a run was created here it executes here, if it ever does: nobody else need be asked about it before that. */
export const soonMs = 20;

const maxAsked = 1_000;

interface Followed {
  readonly run: RunName;
  readers: number;
  waiters: number;
  /** The next chunk of its events, as of the last look. */
  chunk: number | undefined;
  /** Who has been asked to tell whom, and when: a server, or all others. */
  asked: { readonly whom: string; readonly self: string; readonly events: boolean; readonly at: number } | undefined;
}

/**
 * Asks the server that executes a run to tell of it, once for all who follow it here. What is not told is found by a look at all
 * runs that do not execute here, which asks the database as often for a thousand as for one.
 */
export function createFollowedRuns(parts: FollowedRunsParts): FollowedRuns {
  const followed = new Map<string, Followed>();
  /** Nobody has been asked about them yet. */
  let fresh = new Set<Followed>();
  /** Of runs that nobody may wait for yet. */
  const asked = new Map<string, Followed["asked"]>();
  let soon: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  const rounds = createRounds(look, { onError: parts.onError });

  const elsewhere = (): Followed[] => [...followed.values()].filter(({ run }) => !parts.executesHere(run));

  async function look(): Promise<void> {
    const all = elsewhere();
    if (all.length === 0) return;
    const found = await findAll(all);
    const live = all.filter(({ run }) => (found.get(keyOfRun(run))?.phase ?? "over") !== "over");
    for (const one of all) if (!live.includes(one)) parts.ended(one.run);
    await askToTell(live);
    await lookForEvents(all.filter((one) => one.readers > 0 && found.has(keyOfRun(one.run))));
  }

  async function findAll(all: readonly Followed[]): Promise<Map<string, Run>> {
    const found = await parts.runs.findMany(all.map(({ run }) => run));
    return new Map(found.map((run) => [keyOfRun(run), run]));
  }

  async function lookForEvents(all: readonly Followed[]): Promise<void> {
    const known = all.flatMap(({ run, chunk }) => (chunk === undefined ? [] : [{ run, chunk }]));
    const grown = new Set((known.length > 0 ? await parts.events.withChunk(known) : []).map(keyOfRun));
    for (const one of all.filter(({ run, chunk }) => chunk === undefined || grown.has(keyOfRun(run)))) {
      one.chunk = (await parts.events.head(one.run)).chunk;
      parts.published(one.run);
    }
  }

  async function askToTell(all: readonly Followed[]): Promise<void> {
    if (all.length === 0 || parts.others().length === 0) return;
    const executors = await findExecutors(all);
    for (const one of all) askFor(one, executors.get(keyOfRun(one.run)));
  }

  /** Where those execute that do. */
  async function findExecutors(all: readonly Followed[]): Promise<Map<string, string>> {
    const threads = new Map(all.map(({ run }) => [keyOfThread(run), run]));
    const stored = await parts.lanes.readMany([...threads.values()]);
    const controls = new Map(stored.map(({ origin, control }) => [keyOfThread(origin), control] as const));
    return new Map(
      all.flatMap(({ run }) => {
        const control = controls.get(keyOfThread(run));
        const server = control && entryOf(control, run.runId)?.lease?.server;
        return server === undefined ? [] : [[keyOfRun(run), server] as const];
      }),
    );
  }

  function askFor(one: Followed, executor: string | undefined): void {
    const [self, others] = [parts.self(), parts.others()];
    if (executor === self) return;
    const whom = executor ?? everybody;
    const events = one.readers > 0;
    const { asked } = one;
    const isRecent = asked !== undefined && parts.monotonicMs() - asked.at < parts.renewMs;
    if (isRecent && asked.whom === whom && asked.self === self && (asked.events || !events)) return;
    one.asked = { whom, self, events, at: parts.monotonicMs() };
    const kind = executor ? "follow" : "expect";
    for (const to of executor ? [executor] : others) parts.send(to, { kind, run: one.run, follower: self, events });
  }

  async function askAboutFresh(): Promise<void> {
    const asking = [...fresh].filter((one) => followed.has(keyOfRun(one.run)) && !parts.executesHere(one.run));
    fresh = new Set();
    soon = undefined;
    await askToTell(asking).catch(parts.onError);
  }

  return {
    follow(run, what) {
      timer ??= setInterval(() => void rounds.join(), parts.everyMs).unref();
      const field = what === "events" ? "readers" : "waiters";
      const one = followed.get(keyOfRun(run)) ?? newFollowed(run);
      followed.set(keyOfRun(run), one);
      one.asked ??= what === "end" ? asked.get(keyOfRun(run)) : undefined;
      asked.delete(keyOfRun(run));
      one[field] += 1;
      if (one[field] === 1 && !(what === "end" && one.asked?.self === parts.self())) {
        fresh.add(one);
        soon ??= setTimeout(() => void askAboutFresh(), soonMs).unref();
      }
      let isFollowing = true;
      return () => {
        if (!isFollowing) return;
        isFollowing = false;
        one[field] -= 1;
        if (one.readers + one.waiters === 0) followed.delete(keyOfRun(run));
      };
    },
    askedToTellOf(run, server) {
      asked.set(keyOfRun(run), { whom: server, self: parts.self(), events: false, at: parts.monotonicMs() });
      if (asked.size > maxAsked) asked.delete(asked.keys().next().value!);
    },
    lookAtAll: rounds.wake,
    get size() {
      return elsewhere().length;
    },
    stop() {
      clearTimeout(soon);
      clearInterval(timer);
    },
  };
}

const everybody = "everybody";

const newFollowed = (run: RunName): Followed => ({
  run: runName(run),
  readers: 0,
  waiters: 0,
  chunk: undefined,
  asked: undefined,
});
