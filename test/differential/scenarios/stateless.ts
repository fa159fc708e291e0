import { collect, get, leave, long, open, post, type Scenario, short } from "../scenario.ts";

export const statelessScenarios: readonly Scenario[] = [
  {
    name: "stateless",
    steps: [
      post("wait", "/runs/wait", short),
      post("stream", "/runs/stream", short),
      post("stream-updates", "/runs/stream", { ...short, stream_mode: "updates" }),
      post("failing", "/runs/wait", { assistant_id: "agent", input: { steps: 1, fail_at: 0 } }),
      post(
        "create",
        "/runs",
        { assistant_id: "agent", input: { steps: 1, step_ms: 300 } },
        { save: { r: "run_id", t: "thread_id" } },
      ),
      { do: "until", id: "gone", path: "/threads/{t}/runs/{r}", field: "status", is: [404], limitMs: 15_000 },
      get("thread-gone", "/threads/{t}"),
      post("keep", "/runs", { ...short, on_completion: "keep" }, { save: { k: "run_id", kt: "thread_id" } }),
      { do: "until", id: "kept", path: "/threads/{kt}/runs/{k}", field: "status", is: ["success"], limitMs: 15_000 },
      get("kept-state", "/threads/{kt}/state"),
      post("bad-completion", "/runs", { ...short, on_completion: "burn" }),
      post("resume", "/runs/wait", { assistant_id: "agent", command: { resume: "yes" } }),
    ],
  },
  {
    name: "stateless-cancel",
    steps: [
      post("create", "/runs", long, { save: { r: "run_id", t: "thread_id" } }),
      { do: "until", id: undefined, path: "/threads/{t}/state", field: "next.0", is: ["work"], limitMs: 15_000 },
      open("join", "GET", "/threads/{t}/runs/{r}/join"),
      get("running", "/threads/{t}/runs/{r}"),
      post("cancel", "/threads/{t}/runs/{r}/cancel?wait=true"),
      collect("join", "join"),
      { do: "until", id: "gone", path: "/threads/{t}", field: "status", is: [404], limitMs: 5_000 },
    ],
  },
  {
    name: "stateless-disconnect",
    steps: [
      open("wait", "POST", "/runs/wait", {
        ...long,
        on_disconnect: "cancel",
        metadata: { of: "stateless-disconnect" },
      }),
      leave("wait"),
    ],
  },
  {
    name: "stateless-batch",
    steps: [
      post("two", "/runs/batch", [
        { ...short, on_completion: "keep" },
        { ...short, on_completion: "keep" },
      ]),
      post("none", "/runs/batch", []),
      post("one-bad", "/runs/batch", [short, { assistant_id: "nope" }]),
      post("no-array", "/runs/batch", short),
    ],
  },
];
