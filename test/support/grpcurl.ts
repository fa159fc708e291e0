import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const bin = fileURLToPath(new URL("../../.reins/go-bin/", import.meta.url));
const program = `${bin}grpcurl`;

/** Builds grpcurl, a client on Go's gRPC library, into .reins/ unless it is there. Takes a minute or two the first time. */
export async function installGrpcurl(): Promise<void> {
  if (existsSync(program)) return;
  const args = ["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"];
  await promisify(execFile)("go", args, { env: { ...process.env, GOBIN: bin } });
}

export interface GrpcurlResult {
  /** 0, or 64 + the gRPC code of the failed call. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs grpcurl, which knows no schema but the server's.
 *
 * @param leaveAt kill it when it has printed this.
 */
export async function grpcurl(args: readonly string[], leaveAt?: string): Promise<GrpcurlResult> {
  const child = spawn(program, ["-plaintext", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (leaveAt !== undefined && stdout.includes(leaveAt)) child.kill("SIGKILL");
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
