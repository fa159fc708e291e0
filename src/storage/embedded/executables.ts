import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The first executable file of this name in the folders of a PATH. */
export function findOnPath(name: string, pathVariable: string): string | undefined {
  return pathVariable
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => resolve(join(folder, name)))
    .find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export interface CommandOptions {
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** What a command printed, or why it failed, told by its last lines. */
export type CommandResult =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly reason: string };

export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await run(command, args, {
      env: options.environment,
      timeout: options.timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: 64 * 1024 * 1024,
    });
    return { ok: true, output: `${stdout}${stderr}` };
  } catch (error) {
    const failure = error as { killed?: boolean; message: string; stdout?: string; stderr?: string };
    if (failure.killed === true) return { ok: false, reason: `no answer within ${options.timeoutMs / 1000} s` };
    const said = lastLines(`${failure.stdout ?? ""}\n${failure.stderr ?? ""}`, 3).join(" / ");
    return { ok: false, reason: said === "" ? failure.message.split("\n")[0]! : said };
  }
}

/** The last lines that say something, each cut to a readable length. */
export function lastLines(text: string, count: number): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines
    .filter((line) => line !== "")
    .slice(-count)
    .map((line) => (line.length > 300 ? `${line.slice(0, 300)}…` : line));
}
