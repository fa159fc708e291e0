import type { LeaseStore } from "../domain/ports.ts";
import { createRounds } from "../domain/rounds.ts";
import type { Run } from "../domain/run.ts";
import type { AttemptHost } from "./attempt-host.ts";
import type { Executing } from "./executing.ts";
import type { LeaseClock } from "./lease-clock.ts";

export interface LeaseKeeperParts {
  readonly leases: Pick<LeaseStore, "renew" | "held">;
  readonly clock: LeaseClock;
  readonly executing: Pick<Executing, "attempts" | "knows">;
  /** A run that executes here has a stored cancel, of which it may not know yet. */
  readonly cancelStored: (run: Run) => void;
  readonly host: Pick<AttemptHost, "renewed" | "pids">;
  readonly server: string;
  readonly leaseMs: number;
  /** Tells the database that this server lives; answers the database's time. */
  readonly beat: (children: readonly number[]) => Promise<Date>;
  /** A run that this server holds without knowing it: the answer to its claim was lost. */
  readonly orphaned: (run: Run) => Promise<void>;
  readonly monotonicMs: () => number;
  readonly onError: (error: unknown) => void;
}

export interface LeaseKeeper {
  /** One heartbeat, at once. */
  beat(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Keeps this server's leases: one timer, one update for all of its runs. Each heartbeat also looks at the stored cancels of
 * these runs, in case a signal was lost, and ends attempts whose lease went to somebody else.
 */
export function createLeaseKeeper(parts: LeaseKeeperParts): LeaseKeeper {
  const { clock, executing } = parts;
  let renewedAt = parts.monotonicMs();
  const rounds = createRounds(beat, { everyMs: parts.leaseMs / 3, onError: parts.onError });
  const timer = setInterval(giveUp, parts.leaseMs / 10);

  async function beat(): Promise<void> {
    const { sent, databaseTime } = await ask();
    // The database read its clock before the answer came: its time is never taken for later than it is.
    clock.set(databaseTime);
    const until = clock.leaseEnd();
    await parts.leases.renew(parts.server, until);
    clock.renewed(until);
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
      const databaseTime = await parts.beat(parts.host.pids);
      if (!again || parts.monotonicMs() - sent < parts.leaseMs / 3) return { sent, databaseTime };
    }
  }

  /** The database has been away for nearly a lease: ends the attempts before their watchdogs do, so that none counts as lost. */
  function giveUp(): void {
    if (parts.monotonicMs() - renewedAt < parts.leaseMs * 0.8) return;
    for (const attempt of executing.attempts.values()) attempt.kill();
  }

  /** What this server executes against what the database says that it holds. */
  async function compare(): Promise<void> {
    const before = [...executing.attempts.values()];
    const held = new Map((await parts.leases.held(parts.server)).map((run) => [run.runId, run]));
    for (const run of held.values()) {
      if (run.phase === "stopping") parts.cancelStored(run);
      // One that was known until now has come to its end since the database was asked.
      const wasKnown = before.some((attempt) => attempt.run.runId === run.runId);
      if (!wasKnown && !executing.knows(run.runId)) await parts.orphaned(run);
    }
    const now = new Set(executing.attempts.values());
    for (const attempt of before) {
      if (now.has(attempt) && held.get(attempt.run.runId)?.lease?.token !== attempt.token) attempt.kill();
    }
  }

  return {
    beat: rounds.join,
    async stop() {
      clearInterval(timer);
      await rounds.stop();
    },
  };
}
