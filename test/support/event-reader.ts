import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { until } from "./gates.ts";

/** A reader of a run's events that works in the background. */
export interface EventReader {
  /** What has come so far. */
  readonly events: readonly RunEvent[];
  readonly sequences: () => number[];
  /** Resolves when so many events have come. */
  received(count: number): Promise<void>;
  /** Resolves when the stream has ended: to its error, or to undefined when the terminal event ended it. */
  readonly ended: Promise<unknown>;
  /** Cancels the call; resolves when the stream has ended. */
  leave(): Promise<unknown>;
}

type Stream = (signal: AbortSignal) => AsyncIterable<{ readonly events: readonly RunEvent[] }>;

export function readEvents(stream: Stream): EventReader {
  const events: RunEvent[] = [];
  const abort = new AbortController();
  const read = async () => {
    for await (const message of stream(abort.signal)) events.push(...message.events);
  };
  const ended = read().then(
    () => undefined,
    (error: unknown) => error ?? new Error("the stream failed without an error"),
  );
  return {
    events,
    ended,
    sequences: () => events.map((event) => Number(event.sequence)),
    received: (count) => until(() => events.length >= count),
    leave() {
      abort.abort();
      return ended;
    },
  };
}

/** The terminal event; undefined when the last event is another one, or one before it already was one. */
export function endOf(events: readonly RunEvent[]) {
  const ends = events.filter(({ event }) => event.case === "ended");
  const last = events.at(-1)?.event;
  return ends.length === 1 && last?.case === "ended" ? last.value : undefined;
}
