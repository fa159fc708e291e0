import { mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";

/*
 * Node keeps the code that it has compiled, so that the next start need not compile it again. Not where Node would keep it by
 * itself, in the folder for temporary files, where whoever shares the machine could put code for us to run; and not beside the
 * package, which may be installed read-only. The server and the processes that execute graphs have a folder each: what graphs
 * write, the server does not read. Where a folder cannot be made, nothing is kept.
 */

/** Lets this process keep what it compiles from now on. */
export function keepCompiledCode(cacheDir: string): void {
  const folder = ownFolder(cacheDir, "server");
  if (folder !== undefined) enableCompileCache(folder);
}

/** The environment that lets child processes keep what they compile; a user's own settings of that kind go before it. */
export function childCompileCache(cacheDir: string): Readonly<Record<string, string>> {
  const folder = ownFolder(cacheDir, "children");
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
}

function ownFolder(cacheDir: string, name: string): string | undefined {
  const folder = join(cacheDir, name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch {
    return undefined;
  }
}
