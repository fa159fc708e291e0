import type { Nudge } from "../domain/nudge.ts";
import { keyOfRun, type RunName, runName } from "../domain/run/run.ts";

export interface FollowersParts {
  readonly send: (to: string, nudge: Nudge) => void;
  /** Whether the run executes here, or may be about to. */
  readonly mayExecuteHere: (run: RunName) => boolean;
  /** A follower that does not ask again within this time is forgotten. */
  readonly keptMs: number;
  readonly monotonicMs: () => number;
}

/** Other servers that follow runs of this one. */
export interface Followers {
  add(nudge: Extract<Nudge, { kind: "follow" | "expect" | "cancel" }>): void;
  published(run: RunName): void;
  ended(run: RunName): void;
}

/** Runs that are kept in mind. Those whose followers have asked the longest ago are forgotten first. */
export const followedLimit = 10_000;
const endedLimit = 1_000;

interface Follower {
  readonly events: boolean;
  readonly until: number;
}

export function createFollowers({ send, mayExecuteHere, keptMs, monotonicMs }: FollowersParts): Followers {
  const followersOf = new Map<string, Map<string, Follower>>();
  /** Runs of this server that have ended last: who asks about one a moment too late is told at once. */
  const ended = new Set<string>();

  function tell(run: RunName, kind: "events" | "ended"): void {
    const followers = followersOf.get(keyOfRun(run));
    if (!followers) return;
    const now = monotonicMs();
    for (const [server, { events, until }] of followers) {
      if (until < now) followers.delete(server);
      else if (events || kind === "ended") send(server, { kind, run: runName(run) });
    }
    if (followers.size === 0) followersOf.delete(keyOfRun(run));
  }

  return {
    add(nudge) {
      const { kind, run, follower } = nudge;
      const isHere = mayExecuteHere(run);
      const followers = followersOf.get(keyOfRun(run)) ?? new Map<string, Follower>();
      const before = followers.get(follower);
      const isKnown = before !== undefined && before.until >= monotonicMs();
      // Who cancels waits for an end that comes later, and reads no more for it.
      const events = kind === "cancel" ? isKnown && before.events : nudge.events;
      const isRepeated = kind === "cancel" || (isKnown && (before.events || !events));
      // Of what was stored while the nudge was under way nobody has been told: the follower is made to look.
      if (isHere ? !isRepeated : kind !== "expect" || ended.has(keyOfRun(run))) send(follower, { kind: "ended", run });
      if (!isHere && kind !== "expect") return;
      followersOf.delete(keyOfRun(run));
      followersOf.set(keyOfRun(run), followers.set(follower, { events, until: monotonicMs() + keptMs }));
      if (followersOf.size > followedLimit) followersOf.delete(followersOf.keys().next().value!);
    },
    published: (run) => tell(run, "events"),
    ended(run) {
      tell(run, "ended");
      followersOf.delete(keyOfRun(run));
      ended.add(keyOfRun(run));
      if (ended.size > endedLimit) ended.delete(ended.keys().next().value!);
    },
  };
}
