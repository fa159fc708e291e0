import { pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { StopWish } from "../domain/thread/act.ts";
import type { Incarnation } from "../domain/thread/decide.ts";
import type { Entry } from "../domain/thread/entry.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Executing } from "./executing.ts";
import type { LeaseClock } from "./lease-clock.ts";

export interface HeartbeatParts {
  readonly lanes: Pick<Lanes, "headedBy">;
  readonly clock: LeaseClock;
  readonly self: () => Incarnation;
  readonly executing: Pick<Executing, "attempts" | "knows">;
  /** The holds that somebody in this server works under. */
  readonly holds: ReadonlySet<string>;
  /** A run that executes here has a stored cancel, of which it may not know yet. */
  readonly cancelStored: (wish: Omit<StopWish, "server">) => void;
  readonly host: Pick<AttemptHost, "renewed" | "pids">;
  readonly leaseMs: number;
  /** Tells the database that this server lives; answers the database's time, undefined when it has been declared dead. */
  readonly beat: (children: readonly number[]) => Promise<Date | undefined>;
  /** A lease or a hold of this server's that nobody here works under: the answer to its decision was lost, or its work. */
  readonly adoptUnknownLease: (thread: FoundThread) => Promise<void>;
  /** This server's life has been ended by others: what it executed is theirs. Resolves when a new one has begun. */
  readonly declaredDead: () => Promise<Date>;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

export interface Heartbeat {
  /** One heartbeat, at once. */
  beat(): Promise<void>;
  stop(): Promise<void>;
}

/** Threads of one look. */
const chunk = 200;

/**
 * Keeps this server's lease, and with it all that it executes and holds: one small document. Each heartbeat also compares what
 * the lanes say that this server has with what is done here: stored cancels whose word was lost, attempts whose lease went to
 * somebody else, leases without an attempt.
 */
export function createHeartbeat(parts: HeartbeatParts): Heartbeat {
  const { clock, executing } = parts;
  let renewedAt = parts.monotonicMs();
  const rounds = createRounds(beat, { everyMs: parts.leaseMs / 3, onError: parts.onError });
  const timer = setInterval(giveUp, parts.leaseMs / 10);

  async function beat(): Promise<void> {
    const { sent, databaseTime } = await ask();
    // The database read its clock before the answer came: its time is never taken for later than it is.
    clock.set(databaseTime);
    clock.renewed(new Date(databaseTime.getTime() + parts.leaseMs));
    renewedAt = sent;
    const elapsed = parts.monotonicMs() - sent;
    // The children's watchdogs count from when they hear of it, so they get less than the lease itself.
    parts.host.renewed(Math.max(1, parts.leaseMs - elapsed));
    await compare();
  }

  /** An answer that was long in coming, since the database was away, would leave next to nothing of the lease: asks again. */
  async function ask(): Promise<{ sent: number; databaseTime: Date }> {
    for (let again = true; ; again = false) {
      const sent = parts.monotonicMs();
      const databaseTime = (await parts.beat(parts.host.pids)) ?? (await parts.declaredDead());
      if (!again || parts.monotonicMs() - sent < parts.leaseMs / 3) return { sent, databaseTime };
    }
  }

  /** The database has been away for nearly a lease: ends the attempts before their watchdogs do, so that none counts as lost. */
  function giveUp(): void {
    if (parts.monotonicMs() - renewedAt < parts.leaseMs * 0.8) return;
    for (const attempt of executing.attempts.values()) attempt.kill();
  }

  async function compare(): Promise<void> {
    const life = parts.self();
    const before = new Set(executing.attempts.values());
    const knownBefore = new Set([...before].map(({ token }) => token));
    const leased = new Set<string>();
    const headed = pagesOf<FoundThread>(chunk, (page) => parts.lanes.headedBy(life.id, page));
    for await (const found of headed) for (const thread of found) await compareWith(thread).catch(parts.onError);
    if (life.ended.aborted) return;
    for (const attempt of executing.attempts.values()) {
      if (before.has(attempt) && !leased.has(attempt.token)) attempt.kill();
    }

    async function compareWith(thread: FoundThread): Promise<void> {
      const entry = leasedBy(thread, life.id);
      if (entry) {
        leased.add(entry.lease!.token);
        if (entry.cancel) parts.cancelStored(wishOf(thread, entry));
      }
      // An attempt that was known when the round began may have ended since the database was asked.
      if (!isKnown(thread, entry, knownBefore)) await parts.adoptUnknownLease(thread);
    }
  }

  function isKnown(
    { owner, threadId, lane }: FoundThread,
    entry: Entry | undefined,
    knownBefore: ReadonlySet<string>,
  ): boolean {
    if (lane.holder) return parts.holds.has(lane.holder.id);
    if (!entry) return true;
    const { token } = entry.lease!;
    return knownBefore.has(token) || executing.knows({ run: { owner, threadId, runId: entry.run }, token });
  }

  return {
    beat: rounds.join,
    async stop() {
      clearInterval(timer);
      await rounds.stop();
    },
  };
}

const leasedBy = ({ lane }: FoundThread, server: string): Entry | undefined =>
  lane.entries.find(({ lease }) => lease?.server === server);

const wishOf = ({ owner, threadId }: FoundThread, { run, cancel }: Entry): Omit<StopWish, "server"> => ({
  run: { owner, threadId, runId: run },
  action: cancel!.action,
  reason: cancel!.reason,
});
