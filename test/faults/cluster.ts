import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isAlive, until } from "../support/gates.ts";
import type { Freeze } from "./evidence.ts";
import { type FaultyDatabase, startFaultyDatabase } from "./faulty-database.ts";
import { type Member, startMember } from "./member.ts";
import { startFaultyProxy } from "./proxy.ts";

/** Some servers on one database, each behind a line of its own, and what can go wrong with them. */
export interface Cluster {
  readonly members: readonly Member[];
  readonly database: FaultyDatabase;
  readonly dir: string;
  readonly ledger: string;
  /** What processes were stopped when. */
  readonly freezes: Freeze[];
  /** What no fault explains. */
  readonly complaints: string[];
  /** Ends all of it; the directory stays. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

export interface ClusterOptions {
  readonly servers: number;
  readonly leaseMs: number;
  readonly graceMs: number;
  /** How far wall clocks are wrong, at most. */
  readonly clockSpreadMs: number;
  /** Decides about the clocks, and about the pieces on the lines. */
  readonly random: () => number;
}

const graphs = fileURLToPath(new URL("./agents/langgraph.json", import.meta.url));

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { servers, leaseMs, graceMs, random } = options;
  const dir = await mkdtemp(join(tmpdir(), "reins-faults-"));
  const ledger = join(dir, "ledger");
  const complaints: string[] = [];
  const database = await startFaultyDatabase(dir);
  const start = async (index: number): Promise<Member> => {
    const clockMs = Math.round((2 * random() - 1) * options.clockSpreadMs);
    const line = await startFaultyProxy(database.port, random);
    const env = {
      MONGODB_URI: database.uri.replace(`:${database.port}/`, `:${line.port}/`),
      REINS_DATABASE_POOL: String(database.maxPoolSize),
      REINS_CONFIG: graphs,
      REINS_CHILDREN: "1",
      REINS_SLOTS: "8",
      REINS_LEASE_MS: String(leaseMs),
      REINS_GRACE_MS: String(graceMs),
      REINS_POLL_MS: "250",
      REINS_DRAIN_MS: "1000",
    };
    const onOwnEnd = (says: string) => void complaints.push(says);
    return startMember({ index, port: await freePort(), line, dir, ledger, env, clockMs, onOwnEnd });
  };
  const members = await Promise.all(Array.from({ length: servers }, (_, index) => start(index)));
  return {
    members,
    database,
    dir,
    ledger,
    freezes: [],
    complaints,
    async stop() {
      const left = (await Promise.all(members.map((member) => member.close()))).flat();
      await until(() => !left.some(isAlive), 30_000).catch(() => {
        complaints.push(`processes ${left.filter(isAlive).join(", ")} outlive their server`);
      });
      await Promise.all(members.map(({ line }) => line.stop()));
      await database.end();
    },
    remove: () => rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }),
  };
}

/** A port that keeps its owner over restarts. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
