import { get, patch, post, type Scenario, short, thread, unknownId } from "../scenario.ts";

/** What is wrong with a request, and how it is told. */
const badBodies: readonly (readonly [string, object])[] = [
  ["no-assistant", {}],
  ["assistant-number", { assistant_id: 7 }],
  ["unknown-graph", { assistant_id: "nope" }],
  ["unknown-assistant", { assistant_id: unknownId }],
  ["bad-strategy", { ...short, multitask_strategy: "zzz" }],
  ["bad-mode", { ...short, stream_mode: "zzz" }],
  ["bad-durability", { ...short, durability: "zzz" }],
  ["bad-checkpoint", { ...short, checkpoint_id: "zzz" }],
  ["bad-if-not-exists", { ...short, if_not_exists: "zzz" }],
  ["bad-after", { ...short, after_seconds: "soon" }],
  ["config-and-context", { ...short, config: { configurable: { a: 1 } }, context: { b: 2 } }],
  ["webhook-loopback", { ...short, webhook: "https://127.0.0.1/hook" }],
  ["webhook-relative", { ...short, webhook: "hook" }],
  ["webhook-http", { ...short, webhook: "http://hook.invalid/hook" }],
  ["bad-config", { ...short, config: "warm" }],
  ["bad-metadata", { ...short, metadata: "ada" }],
  ["bad-interrupt-before", { ...short, interrupt_before: ["nonode"] }],
];

export const errorScenarios: readonly Scenario[] = [
  {
    name: "error-create",
    steps: [
      thread(),
      ...badBodies.map(([name, body]) => post(name, "/threads/{t}/runs", body)),
      post("no-body", "/threads/{t}/runs"),
      post("bad-json", "/threads/{t}/runs", undefined, { raw: "{ no json" }),
      post("array", "/threads/{t}/runs", [short]),
      post("bad-thread", "/threads/zzz/runs", short),
      post("unknown-thread", `/threads/${unknownId}/runs`, short),
      post("unknown-thread-wait", `/threads/${unknownId}/runs/wait`, short),
      post("unknown-thread-stream", `/threads/${unknownId}/runs/stream`, short),
      post("text-plain", "/threads/{t}/runs/wait", undefined, {
        raw: JSON.stringify(short),
        headers: { "content-type": "text/plain" },
      }),
      get("nothing-was-created", "/threads/{t}/runs?select=status"),
    ],
  },
  {
    name: "error-thread",
    steps: [
      get("unknown", `/threads/${unknownId}`),
      get("bad-id", "/threads/zzz"),
      patch("patch-unknown", `/threads/${unknownId}`, { body: { metadata: {} } }),
      get("state-unknown", `/threads/${unknownId}/state`),
      get("state-bad-id", "/threads/zzz/state"),
      get("history-unknown", `/threads/${unknownId}/history`),
      post("update-unknown", `/threads/${unknownId}/state`, { values: {} }),
      post("create-no-body", "/threads"),
      post("create-bad-json", "/threads", undefined, { raw: "[" }),
      post("create-bad-id", "/threads", { thread_id: "zzz" }),
      post("create-bad-metadata", "/threads", { metadata: 7 }),
      post("create-bad-if-exists", "/threads", { if_exists: "zzz" }),
    ],
  },
  {
    name: "error-run",
    steps: [
      thread(),
      get("unknown", `/threads/{t}/runs/${unknownId}`),
      get("unknown-thread", `/threads/${unknownId}/runs/${unknownId}`),
      get("bad-id", "/threads/{t}/runs/zzz"),
      get("bad-thread-id", `/threads/zzz/runs/${unknownId}`),
      get("join-bad-id", "/threads/{t}/runs/zzz/join"),
      get("stream-bad-id", "/threads/{t}/runs/zzz/stream"),
    ],
  },
];
