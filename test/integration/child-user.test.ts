import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { environmentOf, readChildUser, requireReadable } from "../../src/child-user.ts";
import { ConfigError } from "../../src/config.ts";
import { fakePool, run } from "../support/fake-child-pool.ts";

const isRoot = process.getuid?.() === 0;
const folder = mkdtempSync(join(tmpdir(), "reins-user-"));
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string, mode: number): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

/** A child that tells who it is, and whether it can read what is the server's alone. */
const entry = file(
  "child.cjs",
  `
const { readFileSync } = require("node:fs");
const read = (path) => { try { readFileSync(path); return "read"; } catch (error) { return error.code; } };
process.on("message", (message) => {
  if (message.type === "load") process.send({ type: "loaded", graphs: message.graphs.map(({ name }) => ({ name })) });
  if (message.type === "ping") process.send({ type: "pong", sequence: message.sequence, running: {} });
  if (message.type !== "start") return;
  const { attemptId } = message.attempt;
  const told = [process.getuid(), process.getgid(), process.getgroups(), process.env.HOME,
    read(${JSON.stringify(join(folder, "key"))}), read("/proc/" + process.ppid + "/environ")];
  process.send({ type: "output", of: [{ attemptId, events: [["custom", "custom", [], JSON.stringify(told)]] }] });
  process.send({ type: "end", attemptId, end: { kind: "success" } });
});
process.on("disconnect", () => process.exit());
`,
  0o644,
);

describe.runIf(isRoot)("children with a user of their own", { timeout: 60_000 }, () => {
  it("cannot read what is the server's alone, and are ended by it all the same", async () => {
    file("key", "s3cret", 0o600);
    const user = readChildUser("62024:62025");
    const env = { PATH: "/usr/bin:/bin", ...environmentOf(user) };
    const { pool } = fakePool({ entry, user, env, cwd: folder });
    await pool.start();
    const attempt = await run(pool, { act: "finish" });
    expect(await attempt.over).toMatchObject({ how: "ended" });
    expect(attempt.data).toEqual([[62024, 62025, [62025], tmpdir(), "EACCES", "EACCES"]]);
    await pool.stop();
    expect(pool.pids).toEqual([]);
  });

  it("are named in /etc/passwd or by numbers", () => {
    expect(readChildUser("root")).toMatchObject({ uid: 0, gid: 0, name: "root" });
    expect(readChildUser("0:7")).toMatchObject({ uid: 0, gid: 7, name: "root" });
    expect(readChildUser("62024")).toEqual({ uid: 62024, gid: 62024, name: undefined, home: undefined });
    expect(() => readChildUser("no one")).toThrow(
      /^REINS_CHILD_USER is "no one"; there is no such user in \/etc\/passwd/,
    );
  });

  it("must be able to read what they are to load", () => {
    const hidden = file("graph.ts", "", 0o600);
    const user = readChildUser("62024");
    expect(() => requireReadable(user, [entry])).not.toThrow();
    expect(() => requireReadable(user, [entry, hidden])).toThrow(ConfigError);
    expect(() => requireReadable(user, [entry, hidden])).toThrow(`the user 62024 cannot read ${hidden}; the graphs,`);
  });
});

it("only root may choose another user", () => {
  const uid = vi.spyOn(process, "getuid").mockReturnValue(62_025);
  try {
    expect(() => readChildUser("62024")).toThrow(/needs a server that runs as root/);
  } finally {
    uid.mockRestore();
  }
});
