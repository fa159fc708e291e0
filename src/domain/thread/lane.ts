import { claim, claimNext, delivered, handBack, settle } from "./attempts.ts";
import { requestCancel } from "./cancel.ts";
import { change } from "./change.ts";
import type { Answer, Command, Handled, Reduction } from "./commands.ts";
import { computed } from "./compute.ts";
import { effectsOf } from "./effects.ts";
import { finishRollback, projected, withoutTold } from "./ends.ts";
import { confirm, enter, forget, joinDue } from "./enter.ts";
import { type Entry, lean, type ThreadControl, type Time } from "./entry.ts";
import { hold, release } from "./hold.ts";
import { takeOver } from "./take-over.ts";

/**
 * The one place where a thread's runs are decided about: what a command makes of a thread, what follows from it, and what its
 * sender is answered; or why it is refused. Pure: ids, tokens and the time come with the command. Whoever stores the control
 * does so on the condition that the one given here is still the stored one, and else asks again; then any number of servers
 * decide as if one did. Throws only where the caller is at fault.
 */
export function reduce(before: ThreadControl, command: Command, now: Time): Reduction {
  const joined = joinDue(before, now);
  const start = withoutTold(joined, command.told);
  const handled = handle(start, command, now);
  if ("refusal" in handled) return handled;
  const { did } = handled.answer;
  const isClaiming = command.next !== undefined && did === "done";
  const after = isClaiming ? claimNext(handled.control, command.next, command.server, now) : handled.control;
  // That entries leave whose ends are told is no reason to write by itself, unless it is what was asked for.
  const isChange = after !== start || joined !== before || command.kind === "projected";
  if (after === before || !isChange) return { control: before, effects: [], answer: lean(handled.answer) };
  const control = computed(before, after, now, did === "done" && isChangeForUsers(command));
  const hasClaimed = after !== handled.control;
  const claimed = hasClaimed ? control.lane.entries.find(({ lease }) => lease?.token === command.next) : undefined;
  const answer = answerIn(control, lean({ ...handled.answer, claimed }));
  return { control, effects: effectsOf(before, control), answer };
}

/** The answer with its entries as they are after the whole decision. */
export function answerIn(control: ThreadControl, answer: Answer): Answer {
  const { entry, cancels } = answer;
  const entries = new Map(control.lane.entries.map((one) => [one.run, one]));
  const now = (one: Entry | undefined) => one && (entries.get(one.run) ?? one);
  return lean({
    ...answer,
    entry: now(entry),
    cancels: cancels?.map((cancel) => lean({ ...cancel, entry: now(cancel.entry) })),
  });
}

/** Whether the thread's time to live begins anew with it, as with everything that its users would call a change. */
function isChangeForUsers(command: Command): boolean {
  const { kind } = command;
  return kind === "change" ? command.watch === undefined : !silent.has(kind);
}

const silent: ReadonlySet<Command["kind"]> = new Set(["confirm", "forget", "delivered", "takeOver", "projected"]);

function handle(control: ThreadControl, command: Command, now: Time): Handled {
  switch (command.kind) {
    case "enter":
      return enter(control, command, now);
    case "confirm":
      return confirm(control, command);
    case "forget":
      return forget(control, command);
    case "claim":
      return claim(control, command, now);
    case "requestCancel":
      return requestCancel(control, command, now);
    case "delivered":
      return delivered(control, command);
    case "settle":
      return settle(control, command, now);
    case "handBack":
      return handBack(control, command, now);
    case "takeOver":
      return takeOver(control, command, now);
    case "due":
      return { control, answer: { did: "done" } };
    case "hold":
      return hold(control, command, now);
    case "release":
      return release(control, command);
    case "finishRollback":
      return finishRollback(control, command, now);
    case "projected":
      return projected(control, command);
    case "change":
      return change(control, command, now);
  }
}
