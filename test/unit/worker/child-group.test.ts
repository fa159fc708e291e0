import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { groupGone, killGroup } from "../../../src/worker/child-group.ts";
import { gone } from "../../support/fake-child-pool.ts";

/** A shell that leads a group, and a process that it has started. */
async function startGroup(command: string): Promise<{ shell: ChildProcess; pid: number }> {
  const shell = spawn("sh", ["-c", command], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const [printed] = (await once(shell.stdout!, "data")) as [Buffer];
  return { shell, pid: Number(printed) };
}

describe("a process group", () => {
  it("is killed as a whole, and gone when none of its processes runs", async () => {
    const { shell, pid } = await startGroup("sleep 600 & echo $!; wait");
    expect(killGroup(shell.pid!)).toBe(true);
    await groupGone(shell.pid!);
    await gone([shell.pid!, pid]);
  });

  it("outlives its leader until it is killed", async () => {
    const { shell, pid } = await startGroup("sleep 600 >&- & echo $!");
    await once(shell, "exit");
    await groupGone(shell.pid!);
    // It may still be there as a zombie, where nobody reaps orphans.
    await gone([pid]);
  });

  it.each([0, 1, -5, Number.NaN])("is never our own or everybody's (%s)", (leader) => {
    expect(() => killGroup(leader)).toThrow(RangeError);
  });
});
