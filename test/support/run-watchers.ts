import { expect } from "vitest";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import type { CancelAction, Cancellation, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { ReinsClient } from "../../src/client/index.ts";

/** How a run ended, as one of those who waited for it learned. */
export interface Learned {
  readonly status: RunStatus;
  readonly action: CancelAction | undefined;
  readonly reason: string | undefined;
  readonly outcome: CancelOutcome | undefined;
}

export const learned = (end: { status: RunStatus; cancellation?: Cancellation }): Learned => ({
  status: end.status,
  action: end.cancellation?.action,
  reason: end.cancellation?.reason,
  outcome: end.cancellation?.outcome,
});

/** Somebody who joins a run and somebody who reads its events; both learn of its end. */
export interface RunWatchers {
  /** Resolves when both have learned how it ended. */
  ended(): Promise<Learned[]>;
}

/** Resolves when both are attached. `lookups`: how often the server has looked the run up. */
export async function attachWatchers(
  client: ReinsClient,
  run: { threadId: string; runId: string },
  lookups: () => number,
): Promise<RunWatchers> {
  const name = { threadId: run.threadId, runId: run.runId };
  const before = lookups();
  const joined = client.runs.joinRun({ ...name, omitValues: true });
  joined.catch(() => {});
  // The call finds the run, and the waiter, once it is registered, looks whether it is over already.
  await expect.poll(() => lookups() - before, { timeout: 30_000, interval: 5 }).toBeGreaterThanOrEqual(2);
  const first = Promise.withResolvers<void>();
  const read = readEvents(client, name, first.resolve);
  read.catch(first.reject);
  await first.promise;
  return {
    async ended() {
      const [join, events] = await Promise.all([joined, read]);
      const last = events.at(-1)!.event;
      expect(last.case, "the last event is the terminal one").toBe("ended");
      expect(events.filter(({ event }) => event.case === "ended")).toHaveLength(1);
      return [learned(join.run!), learned(last.value as Parameters<typeof learned>[0])];
    },
  };
}

async function readEvents(
  client: ReinsClient,
  name: { threadId: string; runId: string },
  attached: () => void,
): Promise<RunEvent[]> {
  const all: RunEvent[] = [];
  for await (const { events } of client.runs.joinRunStream(name)) {
    all.push(...events);
    attached();
  }
  return all;
}
