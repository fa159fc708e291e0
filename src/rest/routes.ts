import type { Route } from "./route.ts";
import { assistantRoutes } from "./routes/assistants.ts";
import { cancelRoutes } from "./routes/cancels.ts";
import { createRunRoutes } from "./routes/create-runs.ts";
import { readRunRoutes } from "./routes/read-runs.ts";
import { type ItemsOf, storeRoutes } from "./routes/store.ts";
import { type SystemParts, systemRoutes } from "./routes/system.ts";
import { threadStateRoutes } from "./routes/thread-state.ts";
import { type ThreadStreamParts, threadStreamRoutes } from "./routes/thread-stream.ts";
import { threadRoutes } from "./routes/threads.ts";

export interface RoutesParts extends SystemParts {
  /** The names of the graphs, for error texts. */
  readonly graphs: readonly string[];
  /** How long a node may take to stop. */
  readonly graceMs: number;
  readonly startedAt: Date;
  readonly itemsOf: ItemsOf;
}

/** All routes of the edge. */
export function createRoutes(parts: RoutesParts & ThreadStreamParts): Route[] {
  const routes = [
    ...threadRoutes,
    ...threadStateRoutes,
    ...createRunRoutes(parts.graphs),
    ...readRunRoutes,
    ...cancelRoutes(parts.graceMs),
    ...threadStreamRoutes(parts),
    ...assistantRoutes(parts.startedAt),
    ...storeRoutes(parts.itemsOf),
  ];
  return [...routes, ...systemRoutes(parts, routes)];
}
