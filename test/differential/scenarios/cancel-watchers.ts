import { collect, finished, get, long, open, post, type Scenario, start, thread, untilAtWork } from "../scenario.ts";

/** What those who wait or read get when a run is cancelled. */
const kinds = [
  ["interrupt", "/threads/{t}/runs/{r}/cancel?wait=true"],
  ["rollback", "/threads/{t}/runs/{r}/cancel?wait=true&action=rollback"],
] as const;

export const cancelWatcherScenarios: readonly Scenario[] = [
  ...kinds.map(
    ([action, cancel]): Scenario => ({
      name: `cancel-watched-${action}`,
      steps: [
        thread(),
        ...finished("before"),
        start("r"),
        untilAtWork(),
        { do: "until", id: undefined, path: "/threads/{t}/state", field: "next.0", is: ["work"], limitMs: 15_000 },
        open("join", "GET", "/threads/{t}/runs/{r}/join"),
        open("stream", "GET", "/threads/{t}/runs/{r}/stream"),
        // Any answer of the server comes after the watchers were let in.
        get("run", "/threads/{t}/runs/{r}"),
        post("cancel", cancel),
        collect("join", "join"),
        collect("stream", "stream"),
        get("late-join", "/threads/{t}/runs/{r}/join"),
        get("late-stream", "/threads/{t}/runs/{r}/stream"),
      ],
    }),
  ),
  ...["wait", "stream"].map(
    (kind): Scenario => ({
      name: `cancel-created-by-${kind}`,
      steps: [
        thread(),
        open("watcher", "POST", `/threads/{t}/runs/${kind}`, { ...long, stream_mode: ["values"] }),
        untilAtWork(),
        get("runs", "/threads/{t}/runs", { save: { r: "0.run_id" } }),
        post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true"),
        collect("watcher", "watcher"),
      ],
    }),
  ),
  {
    name: "cancel-pending-watched",
    steps: [
      thread(),
      start("r"),
      untilAtWork(),
      start("p", { multitask_strategy: "enqueue" }),
      open("join", "GET", "/threads/{t}/runs/{p}/join"),
      open("stream", "GET", "/threads/{t}/runs/{p}/stream"),
      get("run", "/threads/{t}/runs/{p}"),
      post("cancel", "/threads/{t}/runs/{p}/cancel"),
      collect("join", "join"),
      collect("stream", "stream"),
    ],
  },
];
