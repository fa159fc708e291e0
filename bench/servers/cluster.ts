import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type RunSpecSchema, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, PayloadFormat, runEvents, toPayload } from "../../src/client/index.ts";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../../test/support/embedded-options.ts";
import { descendantsOf } from "../../test/support/processes.ts";
import { type ServerProcess, startServerProcess } from "../../test/support/server-process.ts";

/** Servers on one database. The first of them is the one whose runs are looked at through the others. */
export interface Cluster {
  readonly servers: ServerProcess[];
  readonly dir: string;
  readonly ledger: string;
  /** The database, beside the process that counts what servers ask of it. */
  readonly uri: string;
  /** Commands that the database was sent so far, by name. */
  commands(): Promise<Record<string, number>>;
  startServer(): Promise<ServerProcess>;
  close(): Promise<void>;
}

const graphs = fileURLToPath(new URL("./graphs/langgraph.json", import.meta.url));
export const slots = 16;

export async function startCluster(count: number, leaseMs: number, config = graphs): Promise<Cluster> {
  const dir = await mkdtemp(join(tmpdir(), "reins-servers-"));
  const ledger = join(dir, "ledger");
  const database = await startEmbeddedDatabase(embeddedOptions(join(dir, "data")));
  const { port } = new URL(database.uri);
  const proxy = fork(new URL("./counting-proxy.ts", import.meta.url), [port]);
  const [proxyPort] = (await once(proxy, "message")) as [number];
  const startServer = () =>
    startServerProcess({
      MONGODB_URI: database.uri.replace(`:${port}/`, `:${proxyPort}/`),
      REINS_DATABASE_POOL: String(database.maxPoolSize),
      REINS_CONFIG: config,
      REINS_CHILDREN: "1",
      REINS_SLOTS: String(slots),
      REINS_LEASE_MS: String(leaseMs),
      BENCH_LEDGER: ledger,
    });
  const servers: ServerProcess[] = [];
  // One after the other: they would only take the processors from each other.
  for (let i = 0; i < count; i += 1) servers.push(await startServer());
  return {
    servers,
    dir,
    ledger,
    uri: database.uri,
    startServer,
    commands: () => ask(proxy),
    async close() {
      await Promise.all(servers.map((server) => server.end("SIGTERM")));
      proxy.disconnect();
      await database.stop();
      await rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

async function ask(proxy: ChildProcess): Promise<Record<string, number>> {
  const answered = once(proxy, "message");
  proxy.send("counts");
  return (await answered)[0] as Record<string, number>;
}

export interface Pace {
  readonly events: number;
  readonly everyMs: number;
  readonly untilFile?: string;
}

export const paced = (pace: Pace): MessageInitShape<typeof RunSpecSchema> => ({
  assistantId: "paced",
  input: toPayload(pace),
  streamModes: [StreamMode.CUSTOM],
});

export interface Executing {
  readonly threadId: string;
  readonly runId: string;
}

/** Starts a run through a server and resolves when it executes there; tries again when another one has taken it. */
export async function startRunAt(server: ServerProcess, pace: Pace): Promise<Executing> {
  const { runs, threads } = server.client;
  for (;;) {
    const { threadId } = (await threads.createThread({})).thread!;
    const create = { threadId, spec: paced(pace) };
    const request = { create, payloadFormat: PayloadFormat.JSON };
    let runId = "";
    for await (const { event } of runEvents((signal) => runs.streamRun(request, { signal }))) {
      if (event.case === "created") runId = event.value.runId;
      if (event.case !== "output") continue;
      const { pid } = fromPayload(event.value.data) as { pid: number };
      if (descendantsOf(server.pid).includes(pid)) return { threadId, runId };
      break;
    }
    await runs.cancelRun({ threadId, runId, wait: true });
  }
}

/** Does something so many times, some at a time. */
export async function sample(times: number, atATime: number, what: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < times) await what(next++);
  };
  await Promise.all(Array.from({ length: atATime }, work));
}
