import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { startServerProcess } from "./server-process.ts";

export interface RunIds {
  readonly run_id: string;
  readonly thread_id: string;
}

/** What of a run's JSON the tests look at. */
export interface RunJson extends RunIds {
  readonly status: string;
  readonly cancellation?: { readonly action: string; readonly reason: string; readonly outcome: string };
}

/** A server as `npm start` starts it, and its API without any SDK. */
export interface GuideServer {
  readonly url: string;
  request(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** Resolves to the only run that there is on a busy thread, once it is running. */
  running(): Promise<RunJson>;
  /** Resolves when the run is running. */
  isRunning(run: RunIds): Promise<void>;
  /** Resolves to the run when it is over. */
  over(run: RunIds): Promise<RunJson>;
  /** Stops what a test has left running. */
  cancelAll(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it with a data folder of its own and the graphs that it brings, and nothing else that is not its default. */
export async function startGuideServer(): Promise<GuideServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "reins-guide-"));
  const server = await startServerProcess({}, ["--port", "0", "--data-dir", dataDir]);

  async function request(method: string, path: string, body?: unknown) {
    const headers = body === undefined ? undefined : { "content-type": "application/json" };
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? undefined : (JSON.parse(text) as unknown) };
  }

  return {
    url: server.url,
    request,
    running: () =>
      vi.waitFor(
        async () => {
          const busy = await request("POST", "/threads/search", { status: "busy" });
          const [thread, ...others] = busy.body as { thread_id: string }[];
          if (thread === undefined || others.length > 0) throw new Error(`${others.length} busy threads too many`);
          const { body } = await request("GET", `/threads/${thread.thread_id}/runs?status=running`);
          const [run] = body as RunJson[];
          if (run === undefined) throw new Error("the run does not run yet");
          return run;
        },
        { timeout: 20_000, interval: 20 },
      ),
    isRunning: ({ thread_id, run_id }) =>
      vi.waitFor(
        async () => {
          const { body } = await request("GET", `/threads/${thread_id}/runs/${run_id}`);
          if ((body as RunJson).status !== "running") throw new Error(`the run is ${JSON.stringify(body)}`);
        },
        { timeout: 20_000, interval: 20 },
      ),
    over: async ({ thread_id, run_id }) =>
      (await request("GET", `/threads/${thread_id}/runs/${run_id}?wait=true`)).body as RunJson,
    async cancelAll() {
      await request("POST", "/runs/cancel", { status: "all" });
    },
    async stop() {
      await server.end("SIGTERM");
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
