import type { Nudge } from "../domain/nudge.ts";
import { keyOfRun, type RunName } from "../domain/run/run.ts";
import type { Server } from "../domain/server.ts";
import { createCallForSlots } from "../nudges/call-for-slots.ts";
import { createFollowedRuns } from "../nudges/followed-runs.ts";
import { createFollowers } from "../nudges/followers.ts";
import { createNudgeInbox } from "../nudges/nudge-inbox.ts";
import { createNudger } from "../nudges/nudger.ts";
import { createStoredCancels } from "../nudges/stored-cancels.ts";
import type { Foundation } from "./foundation.ts";

export type BetweenServers = ReturnType<typeof createBetweenServers>;

/** Another server is told of the events of its runs so often at most. */
const tellEveryMs = 25;
/** How often another server is told that runs wait for a free slot: one that had some, and one that had none. */
const callEveryMs = 50;
const callInVainEveryMs = 1_000;
/** Followers ask again so often, and are forgotten when they do not. */
const renewMs = 20_000;
const keptMs = 3 * renewMs;
/** Where nothing can be watched. */
const fastPollMs = 400;
const slowPollMs = 5_000;
const rewatchMs = 10_000;

/** What servers on one database tell each other, so that none must ask all the time. A server that is alone neither tells nor asks. */
export function createBetweenServers(foundation: Foundation) {
  const { config, stores, signals, executing, monotonicMs, onError, log } = foundation;
  const { runs, lanes, events, nudges } = stores;
  const self = () => foundation.self().id;
  const executesHere = (run: RunName) => executing.attempts.has(keyOfRun(run));
  // Which run is being claimed is not known until the claim is answered.
  const mayExecuteHere = (run: RunName) => executesHere(run) || executing.claiming.size > 0;
  let others: readonly Server[] = [];
  let watchesInVain = false;

  const nudger = createNudger({
    store: nudges,
    self,
    everyMs: tellEveryMs,
    monotonicMs,
    onError: onError("telling another server"),
  });
  const { send } = nudger;
  const followers = createFollowers({ send, mayExecuteHere, keptMs, monotonicMs });
  const followed = createFollowedRuns({
    runs,
    lanes,
    events,
    self,
    send,
    renewMs,
    monotonicMs,
    executesHere,
    others: () => others.map(({ id }) => id),
    published: signals.publishedElsewhere.emit,
    ended: signals.endedElsewhere.emit,
    everyMs: config.pollMs,
    onError: onError("looking at runs of other servers"),
  });
  const callForSlots = createCallForSlots({
    others: () => others,
    send,
    everyMs: callEveryMs,
    inVainEveryMs: callInVainEveryMs,
    monotonicMs,
  });

  const cancels = createStoredCancels({ lanes, self, mayExecuteHere, stop: signals.cancelStored.emit });

  signals.cancelStored.on(({ run, server }) => {
    if (server === self()) return;
    send(server, { kind: "cancel", run, follower: self() });
    followed.askedToTellOf(run, server);
  });
  signals.published.on(followers.published);
  signals.ended.on(followers.ended);
  signals.slotMissing.on(callForSlots);

  const act: { [Kind in Nudge["kind"]]: (nudge: Extract<Nudge, { kind: Kind }>) => void } = {
    // The cancels of a batch are looked at together: see `received`.
    cancel: followers.add,
    follow: followers.add,
    expect: followers.add,
    events: ({ run }) => signals.publishedElsewhere.emit(run),
    ended: ({ run }) => signals.endedElsewhere.emit(run),
    ready: () => signals.readyElsewhere.emit(),
  };

  const inbox = createNudgeInbox({
    store: nudges,
    self,
    received(all) {
      const cancelled = all.flatMap((one) => (one.kind === "cancel" ? [one.run] : []));
      for (const one of all) (act[one.kind] as (nudge: Nudge) => void)(one);
      void cancels.lookAt(cancelled).catch(onError("looking at cancelled runs"));
    },
    missed() {
      void cancels.lookAtAll().catch(onError("looking at cancelled runs"));
      followed.lookAtAll();
      signals.readyElsewhere.emit();
    },
    isBusy: () => executing.attempts.size > 0 || followed.size > 0,
    fastMs: fastPollMs,
    slowMs: slowPollMs,
    rewatchMs,
    cannotWatch(error) {
      if (!watchesInVain)
        log.info({ err: error }, "What other servers tell cannot be watched; it is asked for instead.");
      watchesInVain = true;
    },
    onError: onError("reading what other servers tell"),
  });
  signals.othersSeen.on((seen) => {
    others = seen;
    if (seen.length === 0) inbox.close();
    else inbox.open();
  });
  signals.newLife.on(inbox.renew);

  return {
    /** How many other servers live, as far as this one can tell. */
    get others() {
      return others.length;
    },
    follow: followed.follow,
    async stop() {
      nudger.stop();
      followed.stop();
      await inbox.stop();
    },
  };
}
