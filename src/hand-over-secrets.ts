import { mkdtempSync, readFileSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

type Env = Readonly<Record<string, string | undefined>>;

/** Names the file in which the former program of this process has left the secrets. */
const handedOver = "REINS_HANDED_OVER";

/**
 * Starts this program once more in the same process, without its secrets in its environment (the database's address, and what only an
 * auth file is to have): what stands there when a program is started, other processes of the same user can read for as long as it
 * runs (`/proc/PID/environ`), whatever is deleted later. Returns when there is nothing to hide, or no way to (Windows, an older Node).
 */
export function handOverSecrets(env: Env): void {
  const names = ["MONGODB_URI", ...(env.REINS_AUTH_ENV ?? "").split(",").map((name) => name.trim())];
  const given = Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const secrets = given.filter(([name]) => names.includes(name));
  if (secrets.length === 0 || env[handedOver] !== undefined || process.platform === "win32" || !process.execve) return;
  // The file is gone before anything else is started: see takeSecrets.
  const file = join(mkdtempSync(join(tmpdir(), "reins-start-")), "secrets");
  writeFileSync(file, JSON.stringify(Object.fromEntries(secrets)), { mode: 0o600 });
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !names.includes(entry[0]),
  );
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...Object.fromEntries(kept),
    [handedOver]: file,
  });
}

/** The environment with the secrets that were handed over, whose file goes. */
export function takeSecrets(env: Env): Env {
  const { [handedOver]: file, ...others } = env;
  if (file === undefined) return env;
  const secrets = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
  unlinkSync(file);
  rmdirSync(dirname(file));
  return { ...others, ...secrets };
}
