import { checkMetadata } from "../check-metadata.ts";
import { DomainError } from "../errors.ts";
import { cancelRuns } from "./cancel.ts";
import type { Change, Handled, RemovalWish } from "./commands.ts";
import { lean, liveEntries, type ThreadControl, type Time } from "./entry.ts";
import { refusalOf, threadIsBusy, threadIsGone } from "./refusals.ts";

export function change(control: ThreadControl, command: Change, now: Time): Handled {
  if (control.removing) {
    return command.remove?.when === "stop" ? { control, answer: { did: "again" } } : { refusal: threadIsGone(control) };
  }
  try {
    const changed = withWatch(withTtl(withMetadata(control, command), command), command);
    return command.remove
      ? marked(changed, command.remove, command.server, now)
      : { control: changed, answer: { did: "done" } };
  } catch (error) {
    if (error instanceof DomainError) return { refusal: refusalOf(error) };
    throw error;
  }
}

/** Throws what is wrong with the whole. */
function withMetadata(control: ThreadControl, { metadata: wanted }: Change): ThreadControl {
  if (!wanted) return control;
  const gone = new Set(wanted.remove);
  const kept = Object.entries(control.metadata).filter(([field]) => !gone.has(field));
  const metadata = Object.fromEntries([...kept, ...Object.entries(wanted.put)]);
  checkMetadata(metadata, "metadata", wanted.maxBytes);
  return { ...control, metadata };
}

const withTtl = (control: ThreadControl, { ttlMs }: Change): ThreadControl =>
  ttlMs === undefined ? control : lean({ ...control, ttlMs: ttlMs ?? undefined });

function withWatch(control: ThreadControl, { watch, watcher, server: own }: Change): ThreadControl {
  const server = watcher ?? own;
  const { watchedBy } = control;
  if (!watch || !watchedBy || watchedBy.includes(server) === (watch === "attach")) return control;
  const others = watchedBy.filter((one) => one !== server);
  return { ...control, watchedBy: watch === "attach" ? [...others, server] : others };
}

/** From here on nothing comes to the thread any more; what is live in it comes to its end. */
function marked(control: ThreadControl, removal: RemovalWish, server: string, now: Time): Handled {
  const live = liveEntries(control.lane);
  if (removal.when === "stop") {
    const runs = live.map(({ run }) => run);
    const { control: stopping, cancels } = cancelRuns(control, runs, removal.wish, server, now);
    return { control: { ...stopping, removing: true }, answer: { did: "done", cancels } };
  }
  if (live.length > 0 || control.lane.holder) {
    return removal.when === "idle"
      ? { refusal: threadIsBusy(control, "try again when that is over") }
      : { control, answer: { did: "missed" } };
  }
  if (!isDueFor(removal.when, control, now)) return { control, answer: { did: "missed" } };
  return { control: { ...control, removing: true }, answer: { did: "done" } };
}

function isDueFor(
  when: "idle" | "expired" | "unwatched",
  { lane, expireAt, watchedBy }: ThreadControl,
  now: Time,
): boolean {
  if (when === "expired") return expireAt !== undefined && expireAt <= now;
  return when === "idle" || (watchedBy?.length === 0 && lane.entries.length === 0);
}
