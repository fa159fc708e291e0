import type { Logger } from "pino";
import type { AuditEntry, AuditStore } from "../domain/access-ports.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import type { RunName } from "../domain/run/run.ts";

export interface AuditParts {
  readonly store: Pick<AuditStore, "append">;
  /** The database's time. */
  readonly now: () => Date;
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: () => Promise<void>;
  readonly log: Pick<Logger, "error" | "warn">;
  readonly monotonicMs?: () => number;
}

export type NewEntry = Omit<AuditEntry, "at">;

/** What was stopped, deleted or refused, and by whom. */
export interface Audit {
  /** Resolves when it is stored; when it cannot be, it stands in the log, and whoever waits goes on. */
  write(entry: NewEntry): Promise<void>;
  /** Somebody was refused. Returns at once: whoever knocks a thousand times a second must not make as many writes. */
  refused(entry: Omit<NewEntry, "decision">): void;
  /**
   * For the end of the server: resolves when nothing is left to be written. What cannot be written any more stands in the log, since nobody
   * knows when a database that is away comes back.
   */
  settled(): Promise<void>;
}

/** Refusals that are written one by one, at once and again in each second; more of them are counted. */
const burst = 200;
const aSecond = 20;

export function createAudit(parts: AuditParts): Audit {
  const { store, now, log, monotonicMs = () => performance.now() } = parts;
  const pending = new Set<Promise<void>>();
  const ending = new AbortController();
  /** Whoever is not known has a share of his own, so that a flood hides nothing of those who are. */
  const shares = { known: { room: burst, lookedAt: monotonicMs() }, unknown: { room: burst, lookedAt: monotonicMs() } };
  let uncounted = 0;
  let telling: NodeJS.Timeout | undefined;

  function write(entry: NewEntry): Promise<void> {
    const whole: AuditEntry = { ...entry, at: now() };
    const written = keepTrying(() => store.append(whole), { ...parts, signal: ending.signal }).catch((err) =>
      log.error({ err, audit: whole }, "an entry of the audit is not stored"),
    );
    const done = written.finally(() => pending.delete(done));
    pending.add(done);
    return done;
  }

  function hasRoom(share: { room: number; lookedAt: number }): boolean {
    const at = monotonicMs();
    share.room = Math.min(burst, share.room + ((at - share.lookedAt) / 1000) * aSecond);
    share.lookedAt = at;
    if (share.room < 1) return false;
    share.room -= 1;
    return true;
  }

  function tellRest(): void {
    clearTimeout(telling);
    telling = undefined;
    if (uncounted === 0) return;
    const outcome = `${uncounted} more refusals`;
    uncounted = 0;
    void write({ ...nobodyKnown, call: "refusals", targets: [], decision: "refused", outcome, requestId: "" });
  }

  return {
    write,
    refused(entry) {
      if (hasRoom(entry.owner === "" && entry.actor === "" ? shares.unknown : shares.known))
        void write({ ...entry, decision: "refused" });
      else {
        uncounted += 1;
        telling ??= setTimeout(tellRest, 1_000).unref();
      }
    },
    async settled() {
      tellRest();
      ending.abort();
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}

const nobodyKnown = { owner: "", actor: "", credential: "" } as const;

/** Of a server that keeps none, as in tests of its parts. */
export const noAudit: Audit = {
  write: () => Promise.resolve(),
  refused: () => undefined,
  settled: () => Promise.resolve(),
};

export const runTarget = ({ threadId, runId }: Omit<RunName, "owner">): string => `run ${threadId}/${runId}`;
export const threadTarget = (threadId: string): string => `thread ${threadId}`;
