import type { Logger } from "pino";
import { pagesOf } from "../domain/pages-of.ts";
import type { RunPage, WebhookStore } from "../domain/ports.ts";
import { type Json, keyOfRun, type Run } from "../domain/run/run.ts";
import { CallError } from "./call-error.ts";
import type { OwnerSecrets } from "./owner-secrets.ts";
import type { PostWebhook } from "./post-webhook.ts";
import { signedHeaders } from "./signed-headers.ts";
import { webhookBody } from "./webhook-body.ts";

export interface WebhooksParts {
  readonly store: WebhookStore;
  /** Puts the run's last record where its thread's end does not reach it; see RunStore.insertTombstone. */
  readonly insertTombstone: (run: Run, values: Json | undefined) => Promise<void>;
  /** The thread's values at the run's end; undefined when they are too large, or cannot be read any more. */
  readonly valuesAtEnd: (run: Run) => Promise<Json | undefined>;
  readonly post: PostWebhook;
  readonly secretsOf: OwnerSecrets;
  /** The time by the database's clock. */
  readonly now: () => Date;
  /** What one call may take, as `post` has it. */
  readonly limitMs: number;
  /** The pause after the first failure; each later one is five times as long. */
  readonly pauseMs: number;
  readonly leaseMs: number;
  readonly onError: (error: unknown) => void;
  readonly log: Pick<Logger, "warn" | "error">;
}

/**
 * Tells webhooks of the ends of their runs, at least once each. A slow or dead receiver holds up nobody but itself. What a
 * crash leaves is found by the sweep, since each delivery is part of its run's record.
 */
export interface Webhooks {
  /** The run is over for everybody, or its delivery is pending again. Returns at once. */
  ended(run: Run): void;
  /** Takes up deliveries of runs that ended before the time, and that nobody makes. */
  sweep(endedBefore: Date): Promise<void>;
  /** Begins no retries any more; resolves when what is under way is done, or given up at the end of the grace. */
  stop(graceMs: number): Promise<void>;
}

/** The last of so many tries is the end of it. */
const maxTries = 5;
/** Calls at a time, and to one receiver, so that one that does not answer leaves room for the others. */
const callsAtATime = 32;
const callsAReceiver = 4;
/** Deliveries kept in mind, and those of one owner where there are several; more are left to the sweep. */
const maxKnown = 10_000;
const maxKnownOfOwner = 2_500;
/** Deliveries of one look. */
const chunk = 100;

export function createWebhooks(parts: WebhooksParts): Webhooks {
  const { store, log } = parts;
  /** Runs whose delivery is under way here, waits for its place or for its next try. */
  const known = new Set<string>();
  const retries = new Set<NodeJS.Timeout>();
  const queue: Run[] = [];
  const calling = createCounts();
  const callingOf = createCounts();
  const knownOf = createCounts();
  const working = new Set<Promise<void>>();
  const closing = new AbortController();
  let stopping = false;

  const receiverOf = (run: Run) => new URL(run.spec.webhook!).origin;

  function begin(run: Run): void {
    if (stopping || run.webhook?.state !== "pending" || known.has(keyOfRun(run)) || known.size >= maxKnown) return;
    if (run.owner !== "" && knownOf.get(run.owner) >= maxKnownOfOwner) return;
    known.add(keyOfRun(run));
    knownOf.add(run.owner, 1);
    enqueue(run);
  }

  function forget(run: Run): void {
    if (known.delete(keyOfRun(run))) knownOf.add(run.owner, -1);
  }

  /** Where in the queue the next one is: of those whose receivers may be called now the first of the owner who has fewest calls. */
  function nextPlace(): number {
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    for (const [place, run] of queue.entries()) {
      const calls = callingOf.get(run.owner);
      if (calls >= fewest || calling.get(receiverOf(run)) >= callsAReceiver) continue;
      [best, fewest] = [place, calls];
      if (fewest === 0) break;
    }
    return best;
  }

  async function beginAll(find: (page: RunPage) => Promise<Run[]>): Promise<void> {
    for await (const found of pagesOf(chunk, find)) {
      for (const run of found) begin(run);
      if (stopping || known.size >= maxKnown) return;
    }
  }

  function enqueue(run: Run): void {
    queue.push(run);
    next();
  }

  function next(): void {
    while (working.size < callsAtATime) {
      const at = nextPlace();
      if (at < 0) return;
      const [run] = queue.splice(at, 1) as [Run];
      count(run, 1);
      const done = tryOnce(run).finally(() => {
        working.delete(done);
        count(run, -1);
        next();
      });
      working.add(done);
    }
  }

  function count(run: Run, change: number): void {
    calling.add(receiverOf(run), change);
    callingOf.add(run.owner, change);
  }

  async function tryOnce(run: Run): Promise<void> {
    try {
      const again = await deliver(run);
      if (again && !stopping) return retry(again);
    } catch (error) {
      // The database has failed: the sweep finds the delivery again.
      parts.onError(error);
    }
    forget(run);
  }

  /** The run as it is to be tried again, or undefined when there is nothing more to do. */
  async function deliver(run: Run): Promise<Run | undefined> {
    const outlives = run.stateless?.temporary && !run.webhook!.kept;
    if (outlives) await parts.insertTombstone(run, await parts.valuesAtEnd(run));
    const tries = run.webhook!.tries + 1;
    const takes = parts.limitMs + pauseAfter(tries) + parts.leaseMs;
    const taken = await store.take(run, new Date(parts.now().getTime() + takes));
    if (!taken) return undefined;
    try {
      const values = taken.webhook!.kept ? taken.webhook!.kept.values : await parts.valuesAtEnd(taken);
      const at = parts.now();
      const body = webhookBody(taken, values, at);
      const secrets = await parts.secretsOf(taken.owner);
      // The record's own name: another run may have the id later, or has it with another owner.
      const headers = signedHeaders(body, { id: taken.made, at, secrets });
      await parts.post(taken.spec.webhook!, body, { headers, signal: closing.signal });
    } catch (err) {
      return failed(taken, err);
    }
    await store.settleDone(taken);
    return undefined;
  }

  async function failed(run: Run, err: unknown): Promise<Run | undefined> {
    // Given up since this server ends: that is no failure of the receiver's.
    if (closing.signal.aborted) return undefined;
    const { tries } = run.webhook!;
    const { message, isFinal } = err instanceof CallError ? err : new CallError("the call could not be made");
    const facts = { err, run_id: run.runId, thread_id: run.threadId, receiver: receiverOf(run), tries };
    if (!isFinal && tries < maxTries) {
      log.warn(facts, "a webhook failed; it is called again");
      await store.keepError(run, message, new Date(parts.now().getTime() + pauseAfter(tries)));
      return run;
    }
    log.error(facts, isFinal ? "a webhook is not called" : "a webhook failed too often and is given up");
    await store.settleFailed(run, message);
    return undefined;
  }

  const pauseAfter = (tries: number) => parts.pauseMs * 5 ** (tries - 1);

  function retry(run: Run): void {
    const timer = setTimeout(() => {
      retries.delete(timer);
      enqueue(run);
    }, pauseAfter(run.webhook!.tries));
    retries.add(timer);
  }

  return {
    ended: begin,

    async sweep(endedBefore) {
      await beginAll((page) => store.untried(endedBefore, page));
      await beginAll((page) => store.due(parts.now(), page));
    },

    async stop(graceMs) {
      stopping = true;
      for (const timer of retries) clearTimeout(timer);
      const limit = setTimeout(() => {
        queue.length = 0;
        closing.abort();
      }, graceMs);
      while (working.size > 0) await Promise.all(working);
      clearTimeout(limit);
    },
  };
}

/** Numbers by name; what is 0 takes no room. */
function createCounts() {
  const counts = new Map<string, number>();
  const get = (name: string): number => counts.get(name) ?? 0;
  return {
    get,
    add(name: string, change: number): void {
      const count = get(name) + change;
      if (count === 0) counts.delete(name);
      else counts.set(name, count);
    },
  };
}
