import { may } from "../../access/authorize.ts";
import { alive } from "../../server/alive.ts";
import { RestError } from "../errors.ts";
import { htmlPage } from "../html-page.ts";
import { openApi } from "../openapi.ts";
import { flagParameter, json, oneOfParameter, type RestRequest, type Route, route } from "../route.ts";
import { type About, escaped, wantsPage, welcomePage, welcomeStyle } from "../welcome-page.ts";

/** What this server has to do. */
interface Load {
  /** Runs that are pending or running, in all servers on the database. */
  readonly live: number;
  /** Runs that this server executes, and the most that it may. */
  readonly executing: number;
  readonly slots: number;
}

export interface SystemParts {
  readonly about: About;
  readonly load: () => Promise<Load>;
  /** Throws when the database does not answer in time. */
  readonly checkDatabase: () => Promise<void>;
}

const notOffered = () => {
  throw new RestError(501, "Crons are not offered: create runs at their times, or with after_seconds.");
};

const cronPaths: readonly (readonly [Route["method"], string])[] = [
  ["POST", "/threads/:thread_id/runs/crons"],
  ["POST", "/runs/crons"],
  ["POST", "/runs/crons/search"],
  ["POST", "/runs/crons/count"],
  ["GET", "/runs/crons/:cron"],
  ["PATCH", "/runs/crons/:cron"],
  ["DELETE", "/runs/crons/:cron"],
];

/** Routes about the server itself. `others` are those that the OpenAPI page also lists. */
export function systemRoutes({ about, load, checkDatabase }: SystemParts, others: readonly Route[]): Route[] {
  const { version } = about;
  const ok = {
    is: "Says that the server answers, and where it is asked for, that its database does; 503 when not.",
    query: { check_db: flagParameter("ask the database as well") },
    async handle({ query }: RestRequest) {
      if (query.boolean("check_db")) await checkDatabase();
      return json({ ok: true });
    },
  };
  const own: Route[] = [
    route({ method: "GET", path: "/ok", ...ok }),
    route({
      method: "GET",
      path: alive.path,
      is: "Says that the process answers, whatever it can do: also while it starts and while it shuts down.",
      probe: "alive",
      handle: () => json(alive.body),
    }),
    route({
      method: "GET",
      path: "/readyz",
      is: "Says that the server serves; 503 while it starts or shuts down, and while its database does not answer.",
      probe: "ready",
      async handle() {
        await checkDatabase().catch((cause) => {
          throw new RestError(503, "The database does not answer.", { "retry-after": "1" }, cause);
        });
        return json({ ok: true });
      },
    }),
    route({
      method: "GET",
      path: "/",
      query: ok.query,
      is: "Shows a browser what this server is and where to go on, as long as there is no access control; else says what /ok says.",
      // The page names graphs, paths and the process: with access control this route is asked by somebody who is not known.
      handle: (request) =>
        may(request.identity, "admin") && wantsPage(request.header("accept"))
          ? htmlPage(welcomePage(about), welcomeStyle)
          : ok.handle(request),
    }),
    route({
      method: "GET",
      path: "/info",
      is: "Says what this server is.",
      handle: () =>
        json({
          version,
          server: "reins",
          flags: {
            assistants: true,
            crons: false,
            langsmith: false,
            langsmith_tracing_replicas: false,
            strict_resume: true,
            stream_namespaces: true,
          },
        }),
    }),
    route({
      method: "GET",
      path: "/metrics",
      is: "What the server has to do, for Prometheus or as JSON.",
      query: { format: oneOfParameter("prometheus by default", ["prometheus", "json"]) },
      async handle({ query }) {
        const format = query.oneOf("format", ["prometheus", "json"]) ?? "prometheus";
        const now = await load();
        const pending = Math.max(0, now.live - now.executing);
        if (format === "json") {
          return json({
            queue: { n_pending: pending, n_running: now.executing },
            workers: { max: now.slots, active: now.executing, available: Math.max(0, now.slots - now.executing) },
          });
        }
        return { kind: "text", contentType: "text/plain; version=0.0.4; charset=utf-8", text: metricsText(now) };
      },
    }),
    ...cronPaths.map(([method, path]) =>
      route({ method, path, is: "Crons are not offered: 501.", handle: notOffered }),
    ),
  ];
  const openapi = () => openApi([...others, ...own], version);
  return [
    ...own,
    route({
      method: "GET",
      path: "/openapi.json",
      is: "This API as an OpenAPI document.",
      handle: () => json(openapi()),
    }),
    route({
      method: "GET",
      path: "/docs",
      is: "This API as a page.",
      handle: () => htmlPage(page([...others, ...own], version)),
    }),
  ];
}

function metricsText({ live, executing, slots }: Load): string {
  const gauges = [
    ["reins_runs_live", "Runs that are pending or running, in all servers on the database.", live],
    ["reins_runs_executing", "Runs that this server executes.", executing],
    ["reins_run_slots", "Runs that this server may execute at a time.", slots],
  ] as const;
  return gauges.map(([name, is, value]) => `# HELP ${name} ${is}\n# TYPE ${name} gauge\n${name} ${value}\n`).join("");
}

function page(routes: readonly Route[], version: string): string {
  const rows = routes.map(
    ({ method, path, is }) =>
      `<tr><td>${method}</td><td><code>${escaped(path)}</code></td><td>${escaped(is)}</td></tr>`,
  );
  return (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Reins</title>' +
    `<h1>Reins ${escaped(version)}</h1><p>The shapes are in <a href="openapi.json">openapi.json</a>.</p>` +
    `<table><tr><th>Method</th><th>Path</th><th>What it does</th></tr>${rows.join("")}</table></html>`
  );
}
