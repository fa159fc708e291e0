import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { ConfigError } from "./config.ts";

/** Whom the processes that execute graphs run as. */
export interface ChildUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string | undefined;
  readonly home: string | undefined;
}

const passwd = "/etc/passwd";
const shape = /^(\d{1,10})(?::(\d{1,10}))?$/;

/** A name of /etc/passwd, a uid, or `uid:gid`. Throws a ConfigError with a sentence. */
export function readChildUser(text: string): ChildUser {
  if (process.getuid?.() !== 0) {
    throw new ConfigError(
      "REINS_CHILD_USER needs a server that runs as root: nobody else may start processes of another user",
    );
  }
  const [, uid, gid] = shape.exec(text) ?? [];
  const known = accounts().find((one) => (uid === undefined ? one.name === text : one.uid === Number(uid)));
  if (uid === undefined && known === undefined) {
    throw new ConfigError(
      `REINS_CHILD_USER is "${text}"; there is no such user in ${passwd}, and it is no uid or uid:gid`,
    );
  }
  const user = known ?? { uid: Number(uid), gid: Number(uid), name: undefined, home: undefined };
  return gid === undefined ? user : { ...user, gid: Number(gid) };
}

function accounts(): ChildUser[] {
  const lines = readFileSync(passwd, "utf8").split("\n");
  return lines.map((line) => {
    const [name, , uid, gid, , home] = line.split(":");
    return { uid: Number(uid), gid: Number(gid), name, home };
  });
}

/** What that user's processes know of themselves, in place of what the server's environment says. */
export const environmentOf = ({ uid, name, home }: ChildUser): Record<string, string> => ({
  HOME: home ?? tmpdir(),
  USER: name ?? String(uid),
  LOGNAME: name ?? String(uid),
});

/** Throws a ConfigError that names what the user cannot read; else no process of its would come to load a graph. */
export function requireReadable({ uid, gid }: ChildUser, files: readonly string[]): void {
  const script =
    "for (const file of process.argv.slice(1)) { try { require('fs').readFileSync(file) } catch (e) { if (e.code === 'EACCES') console.log(file) } }";
  const { error, stdout } = spawnSync(process.execPath, ["-e", script, ...files], {
    uid,
    gid,
    cwd: "/",
    env: {},
    encoding: "utf8",
  });
  const unreadable = error === undefined ? stdout.split("\n").filter((line) => line !== "") : [process.execPath];
  if (unreadable.length === 0) return;
  throw new ConfigError(
    `REINS_CHILD_USER: the user ${uid} cannot read ${unreadable.join(", ")}; the graphs, their node_modules and Node itself must be readable to it, with every folder above`,
  );
}
