import type { Logger } from "pino";
import { createKeptJournals, type KeptJournals } from "../checkpoints/kept-journals.ts";
import type { Config } from "../config.ts";
import { type CanonicalOf, canonicalOf } from "../domain/canonical-json.ts";
import { newId } from "../domain/ids.ts";
import { keepTrying } from "../domain/keep-trying.ts";
import type { RunsOf } from "../domain/owner-limits.ts";
import { createFindRun, type FindRun } from "../domain/run/find-run.ts";
import { type Incarnation, LifeIsOver } from "../domain/thread/decide.ts";
import { createKeptThreads, type KeptThreads } from "../domain/thread/kept-threads.ts";
import { createSignals, type Signals } from "../signals.ts";
import { createReceiverRules, type ReceiverRules } from "../webhooks/receiver-rules.ts";
import { createExecuting, type Executing } from "../worker/executing.ts";
import type { GraphReport, GraphSpec } from "../worker/protocol.ts";
import type { AppParts } from "./parts.ts";
import { type Machine, thisMachine } from "./this-machine.ts";

export interface RunsOptions extends Omit<AppParts, "probe"> {
  readonly config: Config;
  readonly graphs: readonly GraphSpec[];
  readonly reports: readonly GraphReport[];
  /** Whether an error means that the database is away for the moment. */
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: (signal?: AbortSignal) => Promise<void>;
  /** Callers are told apart, and may be anywhere. Without it all are on this machine. */
  readonly accessControl?: boolean;
  /** How many runs an owner may have; without it as many as there is room for. */
  readonly runsOf?: RunsOf;
  /** On this thread, if nothing else is said. */
  readonly canonicalOf?: CanonicalOf;
  /** This one, if nothing else is said. */
  readonly machine?: Machine;
  readonly log: Logger;
}

/** What every part may use, and what needs none of them. */
export interface Foundation extends RunsOptions {
  readonly canonicalOf: CanonicalOf;
  readonly machine: Machine;
  /** Where webhooks may go. */
  readonly receivers: ReceiverRules;
  readonly signals: Signals;
  readonly executing: Executing;
  /** The holds that somebody in this server works under. */
  readonly holds: Set<string>;
  /** This server's present life; a new one begins when others have declared it dead. */
  readonly self: () => Incarnation;
  /**
   * Ends the present life at once. The next one begins when `join` has made it known, so that nothing is ever leased to a server of
   * which nobody could tell that it is dead; until then nothing can be decided. Tried again after a failure, it is still the same;
   * another one when `join` answers nothing, since this one was over before it began.
   */
  readonly beginNewLife: <T>(join: (id: string) => Promise<T | undefined>) => Promise<T>;
  readonly findRun: FindRun;
  readonly kept: KeptThreads;
  readonly keptJournals: KeptJournals;
  /** Aborted when the server ends: what still waits for the database gives up. */
  readonly closing: AbortController;
  readonly monotonicMs: () => number;
  /** Logs that something failed which is tried again. */
  readonly onError: (what: string) => (error: unknown) => void;
  /** For what must be done, however long the database is away: tried until it is back, the signal aborts or the server ends. */
  readonly whileAway: <T>(what: () => Promise<T>, signal?: AbortSignal) => Promise<T>;
}

export function layFoundation(options: RunsOptions): Foundation {
  const { pause, log } = options;
  // What a life that is over has begun may be tried again in the next one.
  const isTransient = (error: unknown) => error instanceof LifeIsOver || options.isTransient(error);
  let life = newLife();
  let next: typeof life | undefined;
  const closing = new AbortController();
  const monotonicMs = () => performance.now();
  const onError = (what: string) => (error: unknown) =>
    log[isTransient(error) ? "warn" : "error"]({ err: error }, `${what} failed; it is tried again`);

  const keptJournals = createKeptJournals();
  return {
    ...options,
    isTransient,
    self: () => life.incarnation,
    async beginNewLife(join) {
      life.end.abort();
      for (;;) {
        next ??= newLife();
        const joined = await join(next.incarnation.id);
        if (joined !== undefined) life = next;
        next = undefined;
        if (joined !== undefined) return joined;
      }
    },
    holds: new Set(),
    findRun: createFindRun(options.stores),
    keptJournals,
    kept: createKeptThreads(keptJournals),
    canonicalOf: options.canonicalOf ?? canonicalOf,
    machine: options.machine ?? thisMachine(),
    receivers: createReceiverRules({ ...options.config.webhookReceivers, loopback: !options.accessControl }),
    signals: createSignals((err) => log.error({ err }, "a listener of a signal failed")),
    executing: createExecuting(),
    closing,
    monotonicMs,
    onError,
    whileAway: (what, signal = closing.signal) =>
      keepTrying(what, { isTransient: (error) => isTransient(error) && !closing.signal.aborted, pause, signal }),
  };
}

function newLife(): { readonly incarnation: Incarnation; readonly end: AbortController } {
  const end = new AbortController();
  return { incarnation: { id: newId(), ended: end.signal }, end };
}
