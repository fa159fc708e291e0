import type { Run, RunName } from "../domain/run/run.ts";
import type { Thread } from "../domain/thread.ts";
import { createEventHub } from "../stream/event-hub.ts";
import { createEventLog } from "../stream/event-log.ts";
import { type EventWriter, fenceEvents, openEventWriter } from "../stream/event-writer.ts";
import { createOutcomes } from "../stream/outcomes.ts";
import { createSequenceAt } from "../stream/sequence-at.ts";
import { type TailOptions, type TailSources, tail } from "../stream/tail.ts";
import type { BetweenServers } from "./between-servers.ts";
import type { Foundation } from "./foundation.ts";

export type Streams = ReturnType<typeof createStreams>;

/** What runs put out: writing it, reading it, and waiting for their ends. */
export function createStreams(foundation: Foundation, { follow }: BetweenServers) {
  const { stores, journal, signals, findRun, isTransient, pause, whileAway } = foundation;
  const { runs, threads, events } = stores;
  const hub = createEventHub((run) => follow(run, "events"));
  const outcomes = createOutcomes(runs, (run) => follow(run, "end"));
  signals.published.on(hub.publish);
  signals.ended.on(outcomes.announce);
  signals.ended.on(hub.end);
  signals.publishedElsewhere.on(hub.refresh);
  signals.endedElsewhere.on(outcomes.look);
  signals.endedElsewhere.on(hub.refresh);

  const sources: TailSources = {
    events,
    openLog: createEventLog(events),
    hub,
    ended: outcomes.ended,
    isRemoved: async (run) => ((await findRun(run))?.phase ?? "rolling_back") === "rolling_back",
    whileAway,
  };

  return {
    outcomes,
    openFeed: (name: RunName) => hub.open(name),
    tail: (request: TailOptions) => tail(sources, request),
    sequenceAt: createSequenceAt({
      events,
      threads,
      findCheckpoint: (thread, name) => journal.checkpoint(thread.journal, name),
    }),
    openEvents: (run: Run, { journal }: Thread, token: string): Promise<EventWriter> =>
      openEventWriter({
        run,
        journal,
        token,
        store: events,
        published: (chunk) => signals.published.emit(run, chunk),
        isTransient,
        pause,
        isFirst: run.attempt === 1,
      }),
    /** Makes late writes of the token impossible, in the journal and in the event log; answers the run's last sequence number. */
    async fence(run: RunName, thread: Thread, token: string): Promise<number> {
      await journal.fence(thread.journal, token);
      return fenceEvents(events, run, { journal: thread.journal, token });
    },
  };
}
