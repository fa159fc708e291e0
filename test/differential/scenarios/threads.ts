import {
  finished,
  get,
  patch,
  post,
  remove,
  type Scenario,
  start,
  thread,
  unknownId,
  untilAtWork,
} from "../scenario.ts";

const ownId = "0d7f9b1e-3c55-4c1a-8f0e-5a8f6d2b7c11";

export const threadScenarios: readonly Scenario[] = [
  {
    name: "thread",
    steps: [
      post("create", "/threads", { metadata: { topic: "weather" } }, { save: { t: "thread_id" } }),
      get("get", "/threads/{t}"),
      patch("patch", "/threads/{t}", { body: { metadata: { mood: "good" } } }),
      patch("patch-minimal", "/threads/{t}", {
        body: { metadata: { mood: null } },
        headers: { prefer: "return=minimal" },
      }),
      get("get-patched", "/threads/{t}"),
      post("create-with-id", "/threads", { thread_id: ownId }, { save: { own: "thread_id" } }),
      post("create-again", "/threads", { thread_id: ownId }),
      post("create-again-do-nothing", "/threads", { thread_id: ownId, if_exists: "do_nothing" }),
      post("create-unknown-field", "/threads", { colour: "blue" }, { save: { u: "thread_id" } }),
      remove("delete", "/threads/{own}"),
      get("get-deleted", "/threads/{own}"),
      remove("delete-again", "/threads/{own}"),
    ],
  },
  {
    name: "thread-after-run",
    steps: [
      thread(),
      ...finished("r"),
      get("idle", "/threads/{t}"),
      ...finished("f", { input: { steps: 2, fail_at: 1 } }),
      get("error", "/threads/{t}"),
      ...finished("a", { input: { steps: 2, fail_at: -1, ask_at: 1 } }),
      get("interrupted", "/threads/{t}"),
      start("l"),
      untilAtWork(),
      get("busy", "/threads/{t}"),
    ],
  },
  {
    name: "thread-search",
    steps: [
      thread("a", { metadata: { group: "search", kind: "a" } }),
      thread("b", { metadata: { group: "search", kind: "b" } }),
      thread("c", { metadata: { group: "search", kind: "a" } }),
      ...finished("r", { input: { steps: 1 } }, "a"),
      post("by-metadata", "/threads/search", { metadata: { group: "search" } }),
      post("by-two-fields", "/threads/search", { metadata: { group: "search", kind: "b" } }),
      post("by-status", "/threads/search", { metadata: { group: "search" }, status: "idle", limit: 2 }),
      post("by-ids", "/threads/search", { ids: ["{a}", "{c}"], sort_by: "created_at", sort_order: "asc" }),
      post("first-page", "/threads/search", {
        ...{ metadata: { group: "search" }, limit: 2, sort_by: "created_at", sort_order: "asc" },
      }),
      post("second-page", "/threads/search", {
        ...{ metadata: { group: "search" }, limit: 2, offset: 2, sort_by: "created_at", sort_order: "asc" },
      }),
      post("select", "/threads/search", { ids: ["{a}"], select: ["thread_id", "status"] }),
      post("nothing", "/threads/search", { metadata: { group: "none" } }),
      post("extract", "/threads/search", {
        ...{
          ids: ["{a}"],
          select: ["thread_id"],
          extract: { first: "values.log[0]", kind: "metadata.kind", no: "values.x" },
        },
      }),
      post("extract-bad-path", "/threads/search", { extract: { a: "status" } }),
      post("extract-bad-name", "/threads/search", { extract: { "a b": "values" } }),
      post("exclude", "/threads/search", {
        ...{ metadata: { group: "search" }, exclude_metadata: { kind: "a" }, select: ["thread_id"] },
      }),
      post("count-exclude", "/threads/count", { metadata: { group: "search" }, exclude_metadata: [{ kind: "a" }] }),
      post("exclude-nothing", "/threads/search", { exclude_metadata: {} }),
      post("count", "/threads/count", { metadata: { group: "search" } }),
      post("count-kind", "/threads/count", { metadata: { group: "search", kind: "a" } }),
      post("limit-too-high", "/threads/search", { limit: 1001 }),
      post("limit-zero", "/threads/search", { limit: 0 }),
      post("bad-status", "/threads/search", { status: "sleeping" }),
      post("bad-sort", "/threads/search", { sort_by: "colour" }),
      post("by-values", "/threads/search", { metadata: { group: "search" }, values: { steps: 1 } }),
    ],
  },
  {
    name: "thread-copy",
    steps: [
      thread(),
      ...finished("r"),
      post("copy", "/threads/{t}/copy", undefined, { save: { copy: "thread_id" } }),
      get("copied-state", "/threads/{copy}/state"),
      get("copied-runs", "/threads/{copy}/runs"),
      post("copy-unknown", `/threads/${unknownId}/copy`),
      post("copy-bad-id", "/threads/zzz/copy"),
    ],
  },
  {
    name: "thread-prune",
    steps: [
      thread("p"),
      post("prune", "/threads/prune", { thread_ids: ["{p}", unknownId], strategy: "delete" }),
      get("pruned", "/threads/{p}"),
      post("prune-bad-strategy", "/threads/prune", { thread_ids: ["{p}"], strategy: "burn" }),
    ],
  },
  {
    name: "thread-delete-live",
    steps: [
      thread(),
      start("r"),
      untilAtWork(),
      remove("delete", "/threads/{t}", { limitMs: 10_000 }),
      get("get", "/threads/{t}"),
      get("get-run", "/threads/{t}/runs/{r}"),
    ],
  },
];
