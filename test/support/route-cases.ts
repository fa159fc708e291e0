import { createRoutes } from "../../src/rest/routes.ts";
import type { Names } from "./furnished-owner.ts";
import type { Mine } from "./rpc-cases.ts";

export interface RouteRequest {
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type RouteCase = (names: Names, mine: Mine) => RouteRequest;

const after_seconds = 3_600;
const waiting = { assistant_id: "gated", after_seconds };
/** A thread that has runs of its own answers at once. */
const rejecting = { ...waiting, multitask_strategy: "reject" };
const namespace = ({ label }: Names) => ["notes", label];
const ofMark = ({ mark }: Names) => ({ metadata: { mark } });

/** A case for each path below a thread, and below a run. */
const below =
  (rest: string, body?: unknown) =>
  ({ threadId }: Names): RouteRequest => ({ path: `/threads/${threadId}${rest}`, body });
const ofLive =
  (rest = "", body?: unknown) =>
  ({ threadId, live }: Names): RouteRequest => ({ path: `/threads/${threadId}/runs/${live}${rest}`, body });
const ofOver =
  (rest = "", headers?: Record<string, string>) =>
  ({ threadId, over }: Names): RouteRequest => ({ path: `/threads/${threadId}/runs/${over}${rest}`, headers });
const ofAssistant =
  (rest = "", body?: unknown) =>
  ({ assistantId }: Names): RouteRequest => ({ path: `/assistants/${assistantId}${rest}`, body });
const command =
  (method: string, params: (names: Names) => object = () => ({})) =>
  (names: Names): RouteRequest => ({
    path: `/threads/${names.threadId}/commands`,
    body: { id: 1, method, params: params(names) },
  });

/** Requests of each route, by its key in the table of what calls need. The first asks for what its owner is answered otherwise. */
export const routeCases: Readonly<Record<string, readonly RouteCase[]>> = {
  "POST /threads": [
    ({ threadId }) => ({ path: "/threads", body: { thread_id: threadId } }),
    ({ threadId }) => ({ path: "/threads", body: { thread_id: threadId, if_exists: "do_nothing" } }),
  ],
  "GET /threads/:thread_id": [below("")],
  "PATCH /threads/:thread_id": [below("", { metadata: { changed: true } }), below("", { ttl: 1 })],
  "DELETE /threads/:thread_id": [below("")],
  "POST /threads/search": [
    ({ threadId }) => ({ path: "/threads/search", body: { ids: [threadId] } }),
    (names) => ({ path: "/threads/search", body: ofMark(names) }),
    ({ assistantId }) => ({ path: "/threads/search", body: { metadata: { assistant_id: assistantId } } }),
    () => ({ path: "/threads/search", body: { values: { done: 1 } } }),
    () => ({ path: "/threads/search", body: { status: "busy" } }),
    () => ({ path: "/threads/search", body: {} }),
  ],
  "POST /threads/count": [
    ({ threadId }) => ({ path: "/threads/count", body: { ids: [threadId] } }),
    (names) => ({ path: "/threads/count", body: ofMark(names) }),
    () => ({ path: "/threads/count", body: {} }),
  ],
  "POST /threads/prune": [
    ({ threadId }) => ({ path: "/threads/prune", body: { thread_ids: [threadId] } }),
    ({ threadId }, mine) => ({
      path: "/threads/prune",
      body: { thread_ids: [threadId, mine.threadId], strategy: "keep_latest" },
    }),
  ],
  "POST /threads/:thread_id/copy": [below("/copy")],
  "GET /threads/:thread_id/state": [below("/state?subgraphs=true")],
  "GET /threads/:thread_id/state/:checkpoint": [
    ({ threadId, checkpointId }) => ({ path: `/threads/${threadId}/state/${checkpointId}` }),
    ({ checkpointId }, { threadId }) => ({ path: `/threads/${threadId}/state/${checkpointId}` }),
  ],
  "POST /threads/:thread_id/state": [
    below("/state", { values: { log: ["edited"] } }),
    ({ threadId, checkpointId }) => ({
      path: `/threads/${threadId}/state`,
      body: { values: { log: ["edited"] }, checkpoint_id: checkpointId, assistant_id: "gated" },
    }),
    ({ assistantId }, { threadId }) => ({
      path: `/threads/${threadId}/state`,
      body: { values: { log: ["edited"] }, assistant_id: assistantId },
    }),
  ],
  "POST /threads/:thread_id/state/checkpoint": [
    ({ threadId, checkpointId }) => ({
      path: `/threads/${threadId}/state/checkpoint`,
      body: { checkpoint: { checkpoint_id: checkpointId } },
    }),
    // That the checkpoint is on another thread is said in the body only.
    ({ threadId, checkpointId }, mine) => ({
      path: `/threads/${mine.threadId}/state/checkpoint`,
      body: { checkpoint: { thread_id: threadId, checkpoint_id: checkpointId } },
    }),
  ],
  "GET /threads/:thread_id/history": [
    below("/history"),
    ({ checkpointId }, { threadId }) => ({ path: `/threads/${threadId}/history?before=${checkpointId}` }),
  ],
  "POST /threads/:thread_id/history": [
    below("/history", {}),
    ({ checkpointId }, { threadId }) => ({ path: `/threads/${threadId}/history`, body: { before: checkpointId } }),
  ],
  "GET /threads/:thread_id/stream": [
    below("/stream"),
    ({ threadId, over }) => ({
      path: `/threads/${threadId}/stream`,
      headers: { "last-event-id": `1700000000000-${over}-1` },
    }),
    ({ over }, { threadId }) => ({
      path: `/threads/${threadId}/stream`,
      headers: { "last-event-id": `1700000000000-${over}-1` },
    }),
  ],
  "POST /threads/:thread_id/stream/events": [
    below("/stream/events", { channels: ["values", "lifecycle"] }),
    below("/stream/events", { channels: ["values", "lifecycle"], since: 1 }),
  ],
  "POST /threads/:thread_id/commands": [
    command("state.get"),
    command("state.listCheckpoints"),
    command("state.listCheckpoints", ({ checkpointId }) => ({ before: checkpointId })),
    command("run.start", ({ assistantId }) => ({ assistant_id: assistantId, input: {} })),
    command("input.respond", ({ mark }) => ({ interrupt_id: mark, response: "yes" })),
    command("state.fork", ({ checkpointId }) => ({ checkpoint_id: checkpointId })),
  ],

  "POST /threads/:thread_id/runs": [
    below("/runs", waiting),
    ({ assistantId }, { threadId }) => ({
      path: `/threads/${threadId}/runs`,
      body: { ...waiting, assistant_id: assistantId },
    }),
    ({ threadId, live }) => ({
      path: `/threads/${threadId}/runs`,
      body: { ...waiting, run_id: live, if_not_exists: "create" },
    }),
    ({ requestId }, { threadId }) => ({
      path: `/threads/${threadId}/runs`,
      body: { ...waiting, request_id: requestId },
    }),
    ({ checkpointId }, { threadId }) => ({
      path: `/threads/${threadId}/runs`,
      body: { ...waiting, checkpoint_id: checkpointId },
    }),
  ],
  "POST /threads/:thread_id/runs/wait": [
    below("/runs/wait", rejecting),
    ({ assistantId }, { threadId }) => ({
      path: `/threads/${threadId}/runs/wait`,
      body: { ...rejecting, assistant_id: assistantId },
    }),
  ],
  "POST /threads/:thread_id/runs/stream": [
    below("/runs/stream", rejecting),
    ({ threadId, live }) => ({
      path: `/threads/${threadId}/runs/stream`,
      body: { ...waiting, run_id: live, if_not_exists: "create" },
    }),
  ],
  "GET /threads/:thread_id/runs": [below("/runs")],
  "GET /threads/:thread_id/runs/:run_id": [
    ofLive(),
    ofOver("?wait=true"),
    ({ over }, { threadId }) => ({ path: `/threads/${threadId}/runs/${over}` }),
  ],
  "DELETE /threads/:thread_id/runs/:run_id": [ofOver(), ofLive()],
  "GET /threads/:thread_id/runs/:run_id/join": [ofOver("/join"), ofLive("/join?cancel_on_disconnect=true")],
  "GET /threads/:thread_id/runs/:run_id/stream": [
    ofOver("/stream", { "last-event-id": "-1" }),
    ofLive("/stream"),
    ({ checkpointId }, mine) => ({
      path: `/threads/${mine.threadId}/runs/${mine.runId}/stream?checkpoint_id=${checkpointId}`,
    }),
  ],
  "POST /threads/:thread_id/runs/:run_id/cancel": [
    ofLive("/cancel", {}),
    ofLive("/cancel?wait=true&action=rollback", {}),
  ],
  "POST /runs": [
    ({ assistantId }) => ({ path: "/runs", body: { ...waiting, assistant_id: assistantId } }),
    ({ requestId }) => ({ path: "/runs", body: { ...waiting, request_id: requestId } }),
    ({ live }) => ({ path: "/runs", body: { ...waiting, run_id: live } }),
  ],
  "POST /runs/wait": [
    ({ assistantId }) => ({ path: "/runs/wait", body: { ...waiting, assistant_id: assistantId } }),
    ({ live }) => ({ path: "/runs/wait", body: { ...waiting, run_id: live } }),
  ],
  "POST /runs/stream": [
    ({ assistantId }) => ({ path: "/runs/stream", body: { ...waiting, assistant_id: assistantId } }),
    ({ live }) => ({ path: "/runs/stream", body: { ...waiting, run_id: live } }),
  ],
  "POST /runs/batch": [
    ({ assistantId }) => ({ path: "/runs/batch", body: [waiting, { ...waiting, assistant_id: assistantId }] }),
  ],
  "POST /runs/cancel": [
    ({ threadId, live, over }) => ({ path: "/runs/cancel", body: { thread_id: threadId, run_ids: [live, over] } }),
    ({ live }, { threadId }) => ({ path: "/runs/cancel", body: { thread_id: threadId, run_ids: [live] } }),
    ({ threadId }) => ({ path: "/runs/cancel?action=rollback", body: { thread_id: threadId, status: "all" } }),
    () => ({ path: "/runs/cancel?action=rollback", body: { status: "all" } }),
  ],

  "POST /assistants": [
    ({ assistantId }) => ({ path: "/assistants", body: { assistant_id: assistantId, graph_id: "gated" } }),
    ({ assistantId }) => ({
      path: "/assistants",
      body: { assistant_id: assistantId, graph_id: "gated", if_exists: "do_nothing" },
    }),
  ],
  "GET /assistants/:assistant_id": [ofAssistant()],
  "PATCH /assistants/:assistant_id": [ofAssistant("", { name: "changed" })],
  "DELETE /assistants/:assistant_id": [ofAssistant()],
  "POST /assistants/:assistant_id/latest": [ofAssistant("/latest", { version: 1 })],
  "POST /assistants/:assistant_id/versions": [ofAssistant("/versions", {})],
  "POST /assistants/search": [
    (names) => ({ path: "/assistants/search", body: ofMark(names) }),
    () => ({ path: "/assistants/search", body: {} }),
  ],
  "POST /assistants/count": [
    (names) => ({ path: "/assistants/count", body: ofMark(names) }),
    () => ({ path: "/assistants/count", body: {} }),
  ],
  "GET /assistants/:assistant_id/graph": [ofAssistant("/graph")],
  "GET /assistants/:assistant_id/schemas": [ofAssistant("/schemas")],

  "PUT /store/items": [
    (names) => ({
      path: "/store/items",
      body: { namespace: namespace(names), key: names.itemKey, value: { changed: true } },
    }),
  ],
  "GET /store/items": [
    (names) => ({ path: `/store/items?namespace=${namespace(names).join(".")}&key=${names.itemKey}` }),
  ],
  "DELETE /store/items": [
    (names) => ({ path: "/store/items", body: { namespace: namespace(names), key: names.itemKey } }),
  ],
  "POST /store/items/search": [
    (names) => ({ path: "/store/items/search", body: { namespace_prefix: namespace(names) } }),
    () => ({ path: "/store/items/search", body: {} }),
    ({ mark }) => ({ path: "/store/items/search", body: { filter: { mark } } }),
    () => ({ path: "/store/items/search", body: { filter: { mark: { $ne: "" } } } }),
  ],
  "POST /store/namespaces": [
    (names) => ({ path: "/store/namespaces", body: { prefix: namespace(names) } }),
    () => ({ path: "/store/namespaces", body: {} }),
    ({ label }) => ({ path: "/store/namespaces", body: { suffix: [label] } }),
  ],
};

/** What tells of the server itself, and what is not offered: they know no owner. */
export const ownerlessRoutes: readonly string[] = [
  ...["GET /", "GET /ok", "GET /livez", "GET /readyz", "GET /info", "GET /metrics", "GET /docs", "GET /openapi.json"],
  ...["POST /threads/:thread_id/runs/crons", "POST /runs/crons", "POST /runs/crons/search", "POST /runs/crons/count"],
  ...["GET /runs/crons/:cron", "PATCH /runs/crons/:cron", "DELETE /runs/crons/:cron"],
];

/** The keys of all routes that the edge has. */
export function servedRoutes(): string[] {
  const parts = { graphs: [], about: { version: "", graphs: [] }, startedAt: new Date(), graceMs: 0 };
  return createRoutes(parts as never).map(({ method, path }) => `${method} ${path}`);
}
