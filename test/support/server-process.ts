import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createReinsClient, type ReinsClient } from "../../src/client/index.ts";

/** `reins serve` as a process of its own, to be killed and stopped as operators do it. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  readonly client: ReinsClient;
  /** All that it has logged, as text. */
  log(): string;
  /** Resolves to the exit code (null for a signal) when the process is gone. */
  readonly ended: Promise<number | null>;
  /** Sends the signal and resolves to the exit code (null for a signal) when the process is gone. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** Starts a server and resolves when it serves; rejects with its output when it ends before. */
export async function startServerProcess(
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = ["--port", "0"],
  cwd: string = process.cwd(),
  [program, ...args]: readonly string[] = [process.execPath, main, "serve"],
  user: { uid?: number; gid?: number } = {},
): Promise<ServerProcess> {
  const child = spawn(program!, [...args, ...flags], {
    ...user,
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const url = await serving(child, output, ended);
  return {
    url,
    pid: child.pid!,
    client: createReinsClient({ baseUrl: url }),
    log: () => output.join(""),
    ended,
    end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

function serving(child: ChildProcess, output: string[], ended: Promise<number | null>): Promise<string> {
  return new Promise((resolve, reject) => {
    const read = (data: Buffer) => {
      output.push(data.toString("utf8"));
      const url = /"url":\s*"([^"]+)"/.exec(output.join(""))?.[1];
      if (url !== undefined) resolve(url);
    };
    child.stdout!.on("data", read);
    child.stderr!.on("data", read);
    void ended.then((code) => reject(new Error(`the server ended with ${code}: ${output.join("")}`)));
  });
}
