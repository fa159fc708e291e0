import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { until } from "./until.ts";

/**
 * The events of a run's stream one by one, however many travel in a message. As with `until`, leaving the loop cancels the
 * call.
 *
 * ```ts
 * for await (const { sequence, event } of runEvents((signal) => runs.streamRun(request, { signal }))) { ... }
 * ```
 *
 * @param start starts StreamRun or JoinRunStream with the signal that cancels it.
 * @param signal cancels the call from outside.
 */
export async function* runEvents(
  start: (signal: AbortSignal) => AsyncIterable<{ events: RunEvent[] }>,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, void, undefined> {
  for await (const { events } of until(start, signal)) {
    yield* events;
  }
}
