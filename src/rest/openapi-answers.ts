import { any, listOf, refTo, type Schema } from "./openapi-schemas.ts";
import type { Route } from "./route.ts";

/** What a route answers when it is done: a body by its content type, or none. */
export interface SuccessAnswer {
  readonly status: 200 | 202 | 204;
  readonly is: string;
  readonly content?: Readonly<Record<string, Schema>>;
}

const json = (schema: Schema, is = "The answer."): SuccessAnswer => ({
  status: 200,
  is,
  content: { "application/json": schema },
});
const one = (name: string): SuccessAnswer[] => [json(refTo(name))];
const many = (name: string): SuccessAnswer[] => [json(listOf(refTo(name)))];
const part = (name: string): SuccessAnswer[] => [
  json(listOf({ type: "object" }), `Each a ${name}, or what was selected of one.`),
];
const number: SuccessAnswer[] = [json({ type: "integer" }, "How many there are.")];
const empty = (status: 202 | 204, is: string): SuccessAnswer => ({ status, is });
const done = [empty(204, "Done.")];
const events: SuccessAnswer[] = [
  { status: 200, is: "Server-sent events.", content: { "text/event-stream": { type: "string" } } },
];
const values: SuccessAnswer[] = [
  json(any, "The values at the end, with __interrupt__ or __cancelled__ beside them; or __error__ alone."),
];

/** By method and path, as the routes have them. */
const answers: Readonly<Record<string, readonly SuccessAnswer[]>> = {
  "POST /threads": one("Thread"),
  "POST /threads/search": part("thread"),
  "POST /threads/count": number,
  "POST /threads/prune": one("Pruned"),
  "GET /threads/:thread_id": one("Thread"),
  "PATCH /threads/:thread_id": [...one("Thread"), empty(204, "Done, where the client prefers a minimal answer.")],
  "DELETE /threads/:thread_id": done,
  "POST /threads/:thread_id/copy": one("Thread"),
  "GET /threads/:thread_id/state": [json({ type: "object" }, "A ThreadState, or what was selected of it.")],
  "GET /threads/:thread_id/state/:checkpoint": [json({ type: "object" }, "A ThreadState, or what was selected of it.")],
  "POST /threads/:thread_id/state/checkpoint": [json({ type: "object" }, "A ThreadState, or what was selected of it.")],
  "POST /threads/:thread_id/state": one("StateUpdate"),
  "GET /threads/:thread_id/history": part("ThreadState"),
  "POST /threads/:thread_id/history": part("ThreadState"),
  "POST /threads/:thread_id/runs": one("Run"),
  "POST /threads/:thread_id/runs/wait": values,
  "POST /threads/:thread_id/runs/stream": events,
  "POST /runs": one("Run"),
  "POST /runs/wait": values,
  "POST /runs/stream": events,
  "POST /runs/batch": many("Run"),
  "GET /threads/:thread_id/runs": part("run"),
  "GET /threads/:thread_id/runs/:run_id": one("Run"),
  "DELETE /threads/:thread_id/runs/:run_id": done,
  "GET /threads/:thread_id/runs/:run_id/join": values,
  "GET /threads/:thread_id/runs/:run_id/stream": events,
  "POST /threads/:thread_id/runs/:run_id/cancel": [
    ...one("Cancelled"),
    empty(202, "The run will be stopped; the answer to a wait is 200."),
  ],
  "POST /runs/cancel": done,
  "GET /threads/:thread_id/stream": events,
  "POST /threads/:thread_id/stream/events": events,
  "POST /threads/:thread_id/commands": one("CommandAnswer"),
  "POST /assistants": one("Assistant"),
  "POST /assistants/search": part("assistant"),
  "POST /assistants/count": number,
  "GET /assistants/:assistant_id": one("Assistant"),
  "PATCH /assistants/:assistant_id": one("Assistant"),
  "DELETE /assistants/:assistant_id": done,
  "GET /assistants/:assistant_id/graph": one("Graph"),
  "GET /assistants/:assistant_id/schemas": one("GraphSchemas"),
  "POST /assistants/:assistant_id/versions": many("Assistant"),
  "POST /assistants/:assistant_id/latest": one("Assistant"),
  "PUT /store/items": done,
  "GET /store/items": [json({ anyOf: [refTo("Item"), { type: "null" }] })],
  "DELETE /store/items": done,
  "POST /store/items/search": one("Items"),
  "POST /store/namespaces": one("Namespaces"),
  "GET /ok": one("Ok"),
  "GET /livez": one("Ok"),
  "GET /readyz": one("Ok"),
  "GET /": one("Ok"),
  "GET /info": one("Info"),
  "GET /metrics": [
    { ...json(refTo("Metrics")), content: { "text/plain": { type: "string" }, "application/json": refTo("Metrics") } },
  ],
};

/** Undefined for a route that is only refused, or whose answers nobody has written down. */
export const answersOf = ({ method, path }: Pick<Route, "method" | "path">): readonly SuccessAnswer[] | undefined =>
  answers[`${method} ${path}`];
