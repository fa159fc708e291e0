import type { NodeServerResponse } from "./node-messages.ts";

/** Whether the process lives: asked by whoever would end one that does not, and answered as long as its event loop turns. */
export const alive = { path: "/livez", body: { ok: true } } as const;

/** The answer of a server that has no routes yet. */
export function sayAlive(response: NodeServerResponse): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(alive.body));
}
