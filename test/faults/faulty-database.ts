import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../support/embedded-options.ts";
import { freeze, signal } from "./freezing.ts";

/** An engine of one's own that can be killed, after which it is started again, and stopped for a while. */
export interface FaultyDatabase {
  readonly uri: string;
  readonly port: number;
  readonly maxPoolSize: number;
  kill(): void;
  stopFor(ms: number): Promise<void>;
  end(): Promise<void>;
}

export async function startFaultyDatabase(dir: string): Promise<FaultyDatabase> {
  const dataDir = join(dir, "data");
  const database = await startEmbeddedDatabase(embeddedOptions(dataDir));
  return {
    uri: database.uri,
    port: Number(new URL(database.uri).port),
    maxPoolSize: database.maxPoolSize,
    kill() {
      for (const pid of enginesOn(dataDir)) signal(pid, "SIGKILL");
    },
    async stopFor(ms) {
      await freeze(enginesOn(dataDir), ms);
    },
    end: database.stop,
  };
}

/** The processes that were started on the data directory, by what Linux says of them, but for those that watch over one. */
function enginesOn(dataDir: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const [program = "", ...args] = commandLine(name);
    const isWatcher = program === process.execPath || basename(program) === "sh";
    return !isWatcher && args.some((arg) => arg.startsWith(dataDir)) ? [Number(name)] : [];
  });
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}
