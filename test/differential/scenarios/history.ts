import { finished, get, post, type Scenario, start, thread, unknownId, untilAtWork, untilStatus } from "../scenario.ts";

/** State and history: reading, editing, time travel. */
export const historyScenarios: readonly Scenario[] = [
  {
    name: "state",
    steps: [
      thread(),
      get("empty", "/threads/{t}/state"),
      ...finished("r"),
      get("after-run", "/threads/{t}/state", {
        save: { c: "checkpoint.checkpoint_id", p: "parent_checkpoint.checkpoint_id" },
      }),
      get("at-checkpoint", "/threads/{t}/state/{p}"),
      post("at-checkpoint-by-post", "/threads/{t}/state/checkpoint", {
        checkpoint: { thread_id: "{t}", checkpoint_ns: "", checkpoint_id: "{p}" },
      }),
      get("at-unknown", `/threads/{t}/state/${unknownId}`),
      get("with-subgraphs", "/threads/{t}/state?subgraphs=true"),
      ...finished("f", { input: { steps: 2, fail_at: 1 } }),
      get("after-error", "/threads/{t}/state"),
      ...finished("a", { input: { steps: 2, fail_at: -1, ask_at: 1 } }),
      get("after-question", "/threads/{t}/state"),
    ],
  },
  {
    name: "history",
    steps: [
      thread(),
      get("empty", "/threads/{t}/history?limit=10"),
      ...finished("r"),
      get("all", "/threads/{t}/history?limit=10", { save: { second: "1.checkpoint.checkpoint_id" } }),
      get("default-limit", "/threads/{t}/history"),
      get("two", "/threads/{t}/history?limit=2"),
      get("before", "/threads/{t}/history?limit=10&before={second}"),
      post("by-post", "/threads/{t}/history", { limit: 2 }),
      post("by-post-before", "/threads/{t}/history", {
        ...{ limit: 10, before: { configurable: { thread_id: "{t}", checkpoint_ns: "", checkpoint_id: "{second}" } } },
      }),
      post("by-metadata", "/threads/{t}/history", { limit: 10, metadata: { step: 1 } }),
      get("bad-limit", "/threads/{t}/history?limit=abc"),
    ],
  },
  {
    name: "state-update",
    steps: [
      thread(),
      post("never-run", "/threads/{t}/state", { values: { log: ["edited"] } }),
      ...finished("r"),
      post("edit", "/threads/{t}/state", { values: { log: ["edited"] } }),
      get("edited", "/threads/{t}/state"),
      post("as-node", "/threads/{t}/state", { values: { step: 0, log: ["back"] }, as_node: "reset" }),
      get("as-node-state", "/threads/{t}/state"),
      get("as-node-thread", "/threads/{t}"),
      post("bad-node", "/threads/{t}/state", { values: { log: ["x"] }, as_node: "nonode" }),
      start("l"),
      untilAtWork(),
      post("while-running", "/threads/{t}/state", { values: { log: ["x"] } }),
    ],
  },
  {
    name: "time-travel",
    steps: [
      thread(),
      ...finished("r", { input: { steps: 3 } }),
      get("history", "/threads/{t}/history?limit=10", { save: { mid: "2.checkpoint.checkpoint_id" } }),
      post("from-checkpoint", "/threads/{t}/runs/wait", { assistant_id: "agent", input: null, checkpoint_id: "{mid}" }),
      get("forked-history", "/threads/{t}/history?limit=20"),
      post("unknown-checkpoint", "/threads/{t}/runs/wait", {
        assistant_id: "agent",
        input: null,
        checkpoint_id: unknownId,
      }),
      post("fork", "/threads/{t}/state", { values: { log: ["forked"] }, checkpoint_id: "{mid}" }),
      get("fork-state", "/threads/{t}/state"),
    ],
  },
  {
    name: "resume",
    steps: [
      thread(),
      post("ask", "/threads/{t}/runs/wait", { assistant_id: "agent", input: { steps: 3, ask_at: 1 } }),
      get("asking-state", "/threads/{t}/state"),
      post("answer", "/threads/{t}/runs/wait", { assistant_id: "agent", command: { resume: "yes" } }),
      get("answered-thread", "/threads/{t}"),
      post("nothing-to-resume", "/threads/{t}/runs/wait", { assistant_id: "agent", command: { resume: "again" } }),
      post("null-input", "/threads/{t}/runs/wait", { assistant_id: "agent", input: null }),
      post("goto", "/threads/{t}/runs/wait", {
        assistant_id: "agent",
        command: { update: { step: 0, steps: 1 }, goto: "work" },
      }),
      post("before", "/threads/{t}/runs/wait", {
        assistant_id: "agent",
        input: { steps: 2, ask_at: -1 },
        interrupt_before: ["work"],
      }),
      get("before-thread", "/threads/{t}"),
      post("after", "/threads/{t}/runs/wait", { assistant_id: "agent", input: null, interrupt_after: "*" }),
    ],
  },
  {
    name: "subgraph",
    steps: [
      thread(),
      start("r", { assistant_id: "parent", input: { step_ms: 3_000 } }),
      { do: "until", id: undefined, path: "/threads/{t}/state", field: "next.0", is: ["child"], limitMs: 15_000 },
      get("running-state", "/threads/{t}/state?subgraphs=true"),
      post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true"),
      untilStatus("r", ["interrupted", "error"]),
      get("state", "/threads/{t}/state"),
      post("resume", "/threads/{t}/runs/wait", { assistant_id: "parent", input: null }),
      get("history", "/threads/{t}/history?limit=20"),
    ],
  },
];
