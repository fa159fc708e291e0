import {
  collect,
  finished,
  get,
  leave,
  long,
  open,
  post,
  type Scenario,
  short,
  start,
  thread,
  unknownId,
  untilAtWork,
  untilStatus,
} from "../scenario.ts";

const modes = [
  "values",
  "updates",
  "messages",
  "messages-tuple",
  "custom",
  "debug",
  "tasks",
  "checkpoints",
  "events",
  "tools",
];
const chatty = { steps: 1, custom: 2, say: "hello", messages: [{ role: "user", content: "hi", id: "m-1" }] };

export const streamScenarios: readonly Scenario[] = [
  ...modes.map((mode) => ({
    name: `stream-${mode}`,
    steps: [
      thread(),
      post("run", "/threads/{t}/runs/stream", { assistant_id: "agent", input: chatty, stream_mode: [mode] }),
    ],
  })),
  {
    name: "stream",
    steps: [
      thread(),
      post("default-mode", "/threads/{t}/runs/stream", short),
      post("no-mode", "/threads/{t}/runs/stream", { ...short, stream_mode: [] }),
      post("one-mode", "/threads/{t}/runs/stream", { ...short, stream_mode: "updates" }),
      post("two-modes", "/threads/{t}/runs/stream", { ...short, stream_mode: ["values", "updates"] }),
      post("bad-mode", "/threads/{t}/runs/stream", { ...short, stream_mode: ["zzz"] }),
      post("failing", "/threads/{t}/runs/stream", { assistant_id: "agent", input: { steps: 2, fail_at: 1 } }),
      post("asking", "/threads/{t}/runs/stream", {
        assistant_id: "agent",
        input: { steps: 2, fail_at: -1, ask_at: 1 },
      }),
      post("asking-updates", "/threads/{t}/runs/stream", {
        ...{ assistant_id: "agent", input: { steps: 2, ask_at: 1 }, stream_mode: ["updates"] },
      }),
      post("interrupt-before", "/threads/{t}/runs/stream", {
        ...{
          assistant_id: "agent",
          input: { steps: 2, ask_at: -1 },
          stream_mode: ["values", "updates"],
          interrupt_before: ["work"],
        },
      }),
      post("subgraphs", "/threads/{t}/runs/stream", {
        ...{ assistant_id: "parent", input: {}, stream_mode: ["updates", "values"], stream_subgraphs: true },
      }),
      post("no-subgraphs", "/threads/{t}/runs/stream", { assistant_id: "parent", input: {}, stream_mode: ["updates"] }),
    ],
  },
  {
    name: "stream-join",
    steps: [
      thread(),
      thread("u"),
      start("r", { assistant_id: "agent", input: { steps: 3, step_ms: 1_500 }, stream_mode: ["values", "updates"] }),
      start("s", { assistant_id: "agent", input: { steps: 3, step_ms: 1_500 }, stream_mode: ["updates"] }, "u"),
      untilAtWork(),
      untilAtWork("u"),
      open("all", "GET", "/threads/{u}/runs/{s}/stream"),
      open("updates", "GET", "/threads/{t}/runs/{r}/stream?stream_mode=updates"),
      open("join", "GET", "/threads/{t}/runs/{r}/join"),
      collect("live", "all"),
      collect("live-updates", "updates"),
      collect("live-join", "join"),
      get("finished", "/threads/{t}/runs/{r}/stream"),
      get("unknown", `/threads/{t}/runs/${unknownId}/stream`),
      get("unknown-join", `/threads/{t}/runs/${unknownId}/join`),
      get("unknown-thread-join", `/threads/${unknownId}/runs/{r}/join`),
      get("bad-mode", "/threads/{t}/runs/{r}/stream?stream_mode=zzz"),
      get("bad-boolean", "/threads/{t}/runs/{r}/stream?cancel_on_disconnect=zzz"),
    ],
  },
  {
    name: "stream-resumable",
    steps: [
      thread(),
      ...finished("r", { ...short, stream_resumable: true } as object),
      get("everything", "/threads/{t}/runs/{r}/stream", { headers: { "last-event-id": "-1" } }),
      get("from-zero", "/threads/{t}/runs/{r}/stream", { headers: { "last-event-id": "0" } }),
      get("no-header", "/threads/{t}/runs/{r}/stream"),
      get("bad-id", "/threads/{t}/runs/{r}/stream", { headers: { "last-event-id": "zzz" } }),
      post("created", "/threads/{t}/runs/stream", { ...short, stream_resumable: true }),
    ],
  },
  {
    name: "disconnect",
    steps: ["wait", "stream"].flatMap((kind) => [
      thread(kind),
      open(kind, "POST", `/threads/{${kind}}/runs/${kind}`, { ...long, on_disconnect: "cancel" }),
      untilAtWork(kind),
      get(`${kind}-run`, `/threads/{${kind}}/runs`, { save: { [`${kind}Run`]: "0.run_id" } }),
      leave(kind),
      untilStatus(`${kind}Run`, ["interrupted", "error", "success"], kind),
      get(`${kind}-left-run`, `/threads/{${kind}}/runs`),
      {
        do: "until" as const,
        id: `${kind}-left-thread`,
        path: `/threads/{${kind}}`,
        field: "status",
        is: ["interrupted", "error"],
        limitMs: 5_000,
      },
    ]),
  },
  {
    name: "disconnect-joiner",
    steps: ["join", "stream"].flatMap((kind) => [
      thread(kind),
      start(`${kind}Run`, long, kind),
      untilAtWork(kind),
      open(kind, "GET", `/threads/{${kind}}/runs/{${kind}Run}/${kind}?cancel_on_disconnect=true`),
      // Any answer of the server comes after the joiner was let in.
      get(`${kind}-running`, `/threads/{${kind}}/runs/{${kind}Run}`),
      leave(kind),
      {
        do: "until" as const,
        id: `${kind}-left-run`,
        path: `/threads/{${kind}}/runs/{${kind}Run}`,
        field: "status",
        is: ["interrupted", "error"],
        limitMs: 5_000,
      },
    ]),
  },
  {
    name: "disconnect-continue",
    steps: [
      thread(),
      open("s", "POST", "/threads/{t}/runs/stream", { assistant_id: "agent", input: { steps: 2, step_ms: 1_000 } }),
      untilAtWork(),
      get("run", "/threads/{t}/runs", { save: { r: "0.run_id" } }),
      leave("s"),
      untilStatus("r", ["interrupted", "error", "success"]),
      get("left", "/threads/{t}/runs/{r}"),
      post("bad", "/threads/{t}/runs/stream", { ...short, on_disconnect: "zzz" }),
    ],
  },
];
