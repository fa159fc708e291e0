import {
  collect,
  finished,
  get,
  open,
  post,
  type Scenario,
  short,
  start,
  thread,
  untilAtWork,
  untilStatus,
  untilThread,
} from "../scenario.ts";

const later = { assistant_id: "agent", input: { steps: 1, step_ms: 0 } };

export const doubleTextingScenarios: readonly Scenario[] = [
  ...["enqueue", "interrupt", "rollback"].map(
    (strategy): Scenario => ({
      name: `double-texting-${strategy}`,
      steps: [
        thread(),
        ...finished("before"),
        start("old", { input: { steps: 1, step_ms: 2_000 } }),
        untilAtWork(),
        open("join", "GET", "/threads/{t}/runs/{old}/join"),
        post("new", "/threads/{t}/runs", { ...later, multitask_strategy: strategy }, { save: { new: "run_id" } }),
        untilStatus("new", ["success", "error"]),
        get("new-run", "/threads/{t}/runs/{new}"),
        get("old-run", "/threads/{t}/runs/{old}"),
        collect("join-of-the-old", "join"),
        untilThread(["idle", "interrupted", "error"], "t", "thread-status"),
        get("thread", "/threads/{t}"),
        get("state", "/threads/{t}/state"),
        get("history", "/threads/{t}/history?limit=20"),
      ],
    }),
  ),
  {
    name: "double-texting-reject",
    steps: [
      thread(),
      start("old"),
      untilAtWork(),
      post("create", "/threads/{t}/runs", { ...short, multitask_strategy: "reject" }),
      post("wait", "/threads/{t}/runs/wait", { ...short, multitask_strategy: "reject" }),
      post("stream", "/threads/{t}/runs/stream", { ...short, multitask_strategy: "reject" }),
      get("old-run", "/threads/{t}/runs/{old}"),
      post("bad", "/threads/{t}/runs", { ...short, multitask_strategy: "zzz" }),
    ],
  },
  {
    name: "double-texting-default",
    steps: [
      thread(),
      start("old"),
      untilAtWork(),
      post("create", "/threads/{t}/runs", short, { save: { new: "run_id" } }),
      get("new", "/threads/{t}/runs/{new}"),
    ],
  },
];
