import type { Filter } from "mongodb";
import type { RunName } from "../domain/run.ts";
import { type TransitionName, transitions } from "../domain/transitions.ts";
import { type RunDocument, runKey, threadKey } from "./run-document.ts";

/**
 * The filter of a transition's update, made from the transition table: `_id`, shard key, and what must hold for the change
 * to be allowed. `_id` comes first: the embedded engines go by the first field that has an index. `token` is the lease token of the caller, `revision` the cancel revision that it acts on.
 */
export function guard(
  name: TransitionName,
  run: RunName,
  held: { token?: string; revision?: number } = {},
): Filter<RunDocument> {
  const transition = transitions[name];
  if (transition.lease === "held" && held.token === undefined) throw new Error(`${name} needs a lease token`);
  if (transition.cancel === "present" && held.revision === undefined)
    throw new Error(`${name} needs a cancel revision`);
  return {
    _id: runKey(run),
    thread_id: threadKey(run),
    phase: { $in: [...transition.from] },
    ...(transition.lease === "held" ? { "lease.token": held.token } : {}),
    ...(transition.cancel === "absent" ? { cancel: null } : {}),
    ...(transition.cancel === "present" ? { "cancel.revision": held.revision } : {}),
  };
}
