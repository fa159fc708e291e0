import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** An example's program while it runs. */
export interface Example {
  readonly pid: number;
  /** Resolves to the match when the program has printed it; rejects when it ends before. */
  printed(pattern: RegExp, to?: "stdout" | "stderr"): Promise<RegExpExecArray>;
  /** Resolves to the exit code and all that was printed when the program has ended. */
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Ends a program that goes on until it is ended. */
  stop(): Promise<void>;
}

/** Starts a program as a user does, of examples/ or other: with its path and arguments, from the project's folder. */
export function startExample(
  program: "node" | (string & {}),
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Example {
  const child = spawn(program === "node" ? process.execPath : program, args, {
    cwd: root,
    env: { ...process.env, PATH: [`${root}node_modules/.bin`, process.env.PATH].join(delimiter), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...output }));
  return {
    pid: child.pid!,
    ended,
    printed: (pattern, to = "stdout") => printed(child[to]!, () => pattern.exec(output[to]), ended),
    async stop() {
      child.kill();
      await ended;
    },
  };
}

/** Runs a program of examples/ to its end. */
export const runExample = (program: "node" | "bash", args: readonly string[]) => startExample(program, args).ended;

function printed(
  from: Readable,
  find: () => RegExpExecArray | null,
  ended: Example["ended"],
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const match = find();
      if (match) resolve(match);
    };
    from.on("data", look);
    look();
    void ended.then(({ code, stdout, stderr }) => reject(new Error(`ended with ${code}: ${stdout}${stderr}`)));
  });
}
