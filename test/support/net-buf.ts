import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

export interface BufResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `buf curl`, outside of this repository, so that it knows no schema but the server's. A program of its own that speaks
 * all three protocols.
 */
export function bufCurl(args: readonly string[], timeoutMs = 30_000): Promise<BufResult> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [buf, "curl", ...args],
      { cwd: "/", timeout: timeoutMs, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== "number") {
          reject(error);
        } else {
          resolve({ code: Number(error?.code ?? 0), stdout, stderr });
        }
      },
    );
  });
}
