import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";
import { descendantsOf } from "../support/processes.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import type { FaultyProxy } from "./proxy.ts";

/** One server of several, with a line to the database and a wall clock of its own. It is started again whenever it ends. */
export interface Member {
  readonly index: number;
  readonly client: ReinsClient;
  readonly line: FaultyProxy;
  /** Its server process and all that this has started; empty while it is down. */
  pids(): number[];
  /** Ends it, if it is up, and starts it again after a time. */
  end(signal: "SIGKILL" | "SIGTERM", downMs: number): Promise<void>;
  /** Sets its wall clock, and that of its children, wrong by so much. */
  setClock(byMs: number): void;
  /** All that it has logged. */
  log(): string;
  /** Ends it for good; the processes that it has left. */
  close(): Promise<number[]>;
}

export interface MemberOptions {
  readonly index: number;
  readonly port: number;
  readonly line: FaultyProxy;
  /** Where it keeps its clock, and where its runs write what they do. */
  readonly dir: string;
  readonly ledger: string;
  /** How wrong its wall clock is at first. */
  readonly clockMs: number;
  readonly env: Readonly<Record<string, string>>;
  /** It has ended though nobody has ended it, or it does not end. */
  readonly onOwnEnd: (says: string) => void;
}

/** What only a hang needs. */
const drainLimitMs = 30_000;
const clockFile = fileURLToPath(new URL("./shifted-clock.ts", import.meta.url));

/** Resolves when it serves. */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { index, port, line, dir, ledger } = options;
  const clock = join(dir, `clock-${index}`);
  const setClock = (byMs: number) => writeFileSync(clock, String(byMs));
  setClock(options.clockMs);
  const env = { NODE_OPTIONS: `--import=${clockFile}`, FAULTS_CLOCK: clock, FAULTS_LEDGER: ledger, ...options.env };
  const logs: string[] = [];
  let server: ServerProcess | undefined;
  let ending: { downMs: number } | undefined;
  let isClosing = false;
  const served = Promise.withResolvers<void>();
  const closed = live();

  async function live(): Promise<void> {
    while (!isClosing) {
      try {
        server = await startServerProcess(env, ["--port", String(port)]);
      } catch (error) {
        // As with any supervisor: the database may be away just now.
        logs.push(String(error));
        await sleep(200);
        continue;
      }
      served.resolve();
      const { ended, log } = server;
      if (isClosing) void server.end("SIGKILL");
      const code = await ended;
      server = undefined;
      logs.push(log());
      if (!ending && !isClosing)
        options.onOwnEnd(`server ${index} has ended by itself with ${code}: ${log().slice(-2000)}`);
      await sleep(ending?.downMs ?? 0);
      ending = undefined;
    }
  }

  await served.promise;
  return {
    index,
    client: createReinsClient({ baseUrl: `http://127.0.0.1:${port}` }),
    line,
    setClock,
    pids: () => (server ? [server.pid, ...descendantsOf(server.pid)] : []),
    async end(signal, downMs) {
      if (!server || ending) return;
      ending = { downMs };
      await server.end(signal);
    },
    log: () => [...logs, server?.log() ?? ""].join("\n"),
    async close() {
      isClosing = true;
      const left = server ? descendantsOf(server.pid) : [];
      const tooLong = setTimeout(() => {
        options.onOwnEnd(`server ${index} has not drained: ${server?.log().slice(-2000)}`);
        void server?.end("SIGKILL");
      }, drainLimitMs);
      void server?.end("SIGTERM");
      await closed;
      clearTimeout(tooLong);
      return left;
    },
  };
}
