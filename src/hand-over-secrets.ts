import { mkdtempSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

type Env = Readonly<Record<string, string | undefined>>;

/** Names the file in which the former program of this process has left the secrets. */
const handedOver = "REINS_HANDED_OVER";

/**
 * Starts this program once more in the same process, without the database's address in its environment: what stands there when
 * a program is started, other processes of the same user can read for as long as it runs (`/proc/PID/environ`), whatever is
 * deleted later. Returns when there is nothing to hide, or no way to (Windows, an older Node).
 */
export function handOverSecrets(env: Env): void {
  const { MONGODB_URI: uri, ...others } = env;
  if (!uri || env[handedOver] !== undefined || process.platform === "win32" || !process.execve) return;
  // The file is gone before anything else is started: see takeSecrets.
  const file = join(mkdtempSync(join(tmpdir(), "reins-start-")), "secrets");
  writeFileSync(file, uri, { mode: 0o600 });
  const kept = Object.entries(others).filter((entry): entry is [string, string] => entry[1] !== undefined);
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...Object.fromEntries(kept),
    [handedOver]: file,
  });
}

/** The environment with the secrets that were handed over, whose file goes. */
export function takeSecrets(env: Env): Env {
  const { [handedOver]: file, ...others } = env;
  if (file === undefined) return env;
  const uri = readFileSync(file, "utf8");
  unlinkSync(file);
  rmdirSync(dirname(file));
  return { ...others, MONGODB_URI: uri };
}
