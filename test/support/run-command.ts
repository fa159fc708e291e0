import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of the binary, to its end. */
export function command(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const options = { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } };
  return new Promise((ended) => {
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) =>
      ended({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}
