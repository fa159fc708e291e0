/** Why the server has killed a child process. */
export type KillCause =
  | "stop" // for an attempt's sake
  | "lease" // an attempt in it has lost its lease
  | "blocked" // its event loop did not turn for too long
  | "load" // its graphs could not be loaded in time
  | "inspection" // an inspection was not answered in time
  | "retired"; // nobody needs it any more, or the pool ends

/** A process that the server has killed with runs in it; for whose sake, and whose neighbours, their ends say. */
export interface Kill {
  readonly cause: Exclude<KillCause, "retired">;
  readonly owner: string;
  readonly runs: readonly { readonly threadId: string; readonly runId: string }[];
}

export const killReasons: Record<Exclude<KillCause, "retired">, string> = {
  stop: "a run in it was to be stopped and did not stop by itself",
  lease: "a run in it has lost its lease",
  blocked: "its event loop has been blocked for too long",
  load: "its graphs took too long to load",
  inspection: "a graph did not answer in it in time",
};
