import {
  finished,
  get,
  post,
  type Scenario,
  type Step,
  short,
  start,
  thread,
  unknownId,
  untilAtWork,
  untilStatus,
  untilThread,
} from "../scenario.ts";

/** What a cancel answers and leaves behind: for each state of the run, each action, with and without wait. */
const actions = ["interrupt", "rollback"] as const;
const waits = ["0", "1"] as const;

const after = (run: string): readonly Step[] => [
  {
    do: "until",
    id: "run",
    path: `/threads/{t}/runs/{${run}}`,
    field: "status",
    is: ["interrupted", "error"],
    limitMs: 3_000,
  },
  untilThread(["idle", "interrupted", "error"], "t", "thread-status"),
  get("thread", "/threads/{t}"),
  get("state", "/threads/{t}/state"),
  get("runs", "/threads/{t}/runs"),
  get("history", "/threads/{t}/history?limit=10"),
];

const matrix = actions.flatMap((action) =>
  waits.map((wait) => ({ action, wait, query: `wait=${wait}&action=${action}` })),
);

const running = matrix.map(
  ({ action, wait, query }): Scenario => ({
    name: `cancel-running-${action}-wait-${wait}`,
    steps: [
      thread(),
      ...finished("before"),
      start("r"),
      untilAtWork(),
      post("cancel", `/threads/{t}/runs/{r}/cancel?${query}`),
      ...after("r"),
      post("again", `/threads/{t}/runs/{r}/cancel?${query}`),
      post("next-run", "/threads/{t}/runs/wait", { ...short, input: { steps: 1, step_ms: 0 } }),
      get("next-thread", "/threads/{t}"),
    ],
  }),
);

const pending = matrix.map(
  ({ action, wait, query }): Scenario => ({
    name: `cancel-pending-${action}-wait-${wait}`,
    steps: [
      thread(),
      start("r"),
      untilAtWork(),
      start("p", { multitask_strategy: "enqueue" }),
      post("cancel", `/threads/{t}/runs/{p}/cancel?${query}`),
      get("run", "/threads/{t}/runs/{p}"),
      get("thread", "/threads/{t}"),
      get("other-run", "/threads/{t}/runs/{r}"),
      get("runs", "/threads/{t}/runs"),
    ],
  }),
);

const over: readonly (readonly [name: string, input: object])[] = [
  ["success", { steps: 1 }],
  ["error", { steps: 1, fail_at: 0 }],
  ["asking", { steps: 1, ask_at: 0 }],
];

const finishedOnes = over.map(
  ([name, input]): Scenario => ({
    name: `cancel-finished-${name}`,
    steps: [
      thread(),
      ...finished("r", { input }),
      post("interrupt", "/threads/{t}/runs/{r}/cancel"),
      post("interrupt-wait", "/threads/{t}/runs/{r}/cancel?wait=true"),
      post("rollback", "/threads/{t}/runs/{r}/cancel?action=rollback"),
      get("run", "/threads/{t}/runs/{r}"),
      get("thread", "/threads/{t}"),
    ],
  }),
);

export const cancelScenarios: readonly Scenario[] = [
  ...running,
  ...pending,
  ...finishedOnes,
  {
    name: "cancel-nothing",
    steps: [
      thread(),
      thread("other"),
      start("r"),
      untilAtWork(),
      post("unknown-run", `/threads/{t}/runs/${unknownId}/cancel`),
      post("unknown-thread", `/threads/${unknownId}/runs/{r}/cancel`),
      post("other-thread", "/threads/{other}/runs/{r}/cancel"),
      post("bad-thread", "/threads/zzz/runs/{r}/cancel"),
      post("bad-run", "/threads/{t}/runs/zzz/cancel"),
      post("bad-action", "/threads/{t}/runs/{r}/cancel?action=rolback"),
      post("bad-wait", "/threads/{t}/runs/{r}/cancel?wait=maybe"),
      post("bad-reason", "/threads/{t}/runs/{r}/cancel?reason=tired"),
      post("bad-name", "/threads/{t}/runs/{r}/cancel?actoin=rollback"),
      get("still-live", "/threads/{t}/runs?select=status"),
      start("b", {}, "other"),
      post("body-is-not-read", "/threads/{other}/runs/{b}/cancel", undefined, { raw: "{ no json" }),
    ],
  },
  {
    name: "cancel-while-stopping",
    steps: [
      thread(),
      start("r", { input: { step_ms: 20_000, linger_ms: 1_500 } }),
      untilAtWork(),
      post("first", "/threads/{t}/runs/{r}/cancel"),
      get("run-while-stopping", "/threads/{t}/runs/{r}"),
      get("thread-while-stopping", "/threads/{t}"),
      post("second", "/threads/{t}/runs/{r}/cancel"),
      post("wait", "/threads/{t}/runs/{r}/cancel?wait=true"),
      untilThread(["interrupted", "error"], "t", "thread-status"),
      get("run", "/threads/{t}/runs/{r}"),
    ],
  },
  {
    name: "cancel-deaf",
    // Its process is killed, with the others' runs in it.
    isAlone: true,
    steps: [
      thread(),
      start("r", { assistant_id: "deaf", input: { step_ms: 4_000 } }),
      untilAtWork(),
      post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true"),
      untilStatus("r", ["interrupted", "error"]),
      get("run", "/threads/{t}/runs/{r}"),
      get("state", "/threads/{t}/state"),
    ],
  },
  {
    name: "cancel-busy",
    isAlone: true,
    steps: [
      thread(),
      start("r", { assistant_id: "busy", input: { step_ms: 4_000 } }),
      untilAtWork(),
      post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true", undefined, { limitMs: 8_000 }),
      untilStatus("r", ["interrupted", "error"]),
      get("run", "/threads/{t}/runs/{r}"),
      get("state", "/threads/{t}/state"),
    ],
  },
  {
    name: "cancel-then-resume",
    steps: [
      thread(),
      start("r", { input: { steps: 3, step_ms: 1_200 } }),
      { do: "until", id: undefined, path: "/threads/{t}/state", field: "values.step", is: [1], limitMs: 15_000 },
      post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true"),
      untilThread(["interrupted", "error"], "t", "thread-status"),
      get("state", "/threads/{t}/state"),
      post("resume", "/threads/{t}/runs/wait", { assistant_id: "agent", input: null }),
      get("old-run", "/threads/{t}/runs/{r}"),
      get("thread", "/threads/{t}"),
    ],
  },
];
