import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ChildParent, graph, linesOf, MemoryJournal, until } from "../support/child.ts";

const folder = mkdtempSync(join(tmpdir(), "reins-child-stop-"));
const kinds = [
  "deaf",
  "cooperative",
  "parallel",
  "subgraph",
  "closure",
  "functional",
  "lambda",
  "runnable",
  "tools",
  "toolClass",
  "chain",
  "timedOut",
  "stubborn",
];
/** How many functions begin at once; one where it is not said. */
const startsOf: Record<string, number> = { parallel: 3, toolClass: 2 };
let child: ChildParent;

beforeAll(async () => {
  child = new ChildParent();
  const reports = await child.load(...[...kinds, "failing", "busy"].map((kind) => graph("work.ts", kind)));
  expect(reports.filter((report) => report.problem !== undefined)).toEqual([]);
});

afterAll(async () => {
  await child.stop();
  rmSync(folder, { recursive: true });
});

function unsettled(lines: readonly string[]): string[] {
  const started = lines.filter((line) => line.startsWith("started")).map((line) => line.slice(8));
  const settled = lines.filter((line) => line.startsWith("settled")).map((line) => line.slice(8));
  for (const name of settled) started.splice(started.indexOf(name), 1);
  return started;
}

function begin(kind: string, ms: number, spec: Parameters<ChildParent["start"]>[1] = {}) {
  const file = join(folder, `${kind}-${crypto.randomUUID()}`);
  return { file, attempt: child.start(kind, { input: JSON.stringify({ file, ms }), ...spec }) };
}

describe("an aborted attempt", () => {
  it.each(kinds)("reports its end only when the last function has settled: %s", async (kind) => {
    const { file, attempt } = begin(kind, 400);
    await until(() => linesOf(file).length >= (startsOf[kind] ?? 1));
    attempt.abort();
    const end = await attempt.end;
    const lines = linesOf(file);
    expect(unsettled(lines)).toEqual([]);
    expect(end.kind).toBe("stopped");
  });

  it("leaves nothing that writes a checkpoint or a line behind its end", async () => {
    const { file, attempt } = begin("stubborn", 100);
    await until(() => linesOf(file).length === 1);
    attempt.abort();
    await attempt.end;
    const { length } = attempt.journal.flushes;
    const lines = linesOf(file);
    // Whatever was left would need no longer than this other run.
    await begin("deaf", 300).attempt.end;
    expect(attempt.journal.flushes).toHaveLength(length);
    expect(linesOf(file)).toEqual(lines);
  });

  it("counts what is under way in its pongs, and nothing afterwards", async () => {
    const { file, attempt } = begin("deaf", 300);
    await until(() => linesOf(file).length === 1);
    attempt.abort();
    const during = child.next("pong");
    child.send({ type: "ping", sequence: 1 });
    expect(Object.values((await during).running)[0]).toBeGreaterThan(0);
    await attempt.end;
    const after = child.next("pong");
    child.send({ type: "ping", sequence: 2 });
    expect((await after).running).toEqual({});
  });

  it("ends as stopped when it was aborted before it began", async () => {
    const { file, attempt } = begin("deaf", 100);
    attempt.abort();
    expect((await attempt.end).kind).toBe("stopped");
    expect(unsettled(linesOf(file))).toEqual([]);
  });

  it("does not disturb its neighbour", async () => {
    const stopped = begin("deaf", 200);
    const neighbour = begin("deaf", 200);
    await until(() => linesOf(stopped.file).length === 1);
    stopped.attempt.abort();
    expect((await stopped.attempt.end).kind).toBe("stopped");
    expect((await neighbour.attempt.end).kind).toBe("success");
  });
});

it("a failed attempt ends only when its parallel branches have settled", async () => {
  const { file, attempt } = begin("failing", 400);
  const end = await attempt.end;
  expect(unsettled(linesOf(file))).toEqual([]);
  expect(end).toMatchObject({ kind: "error", error: { name: "TypeError", message: "no good" } });
});

it("a fenced attempt stops by itself and ends with a FencedError", async () => {
  const journal = new MemoryJournal();
  journal.fenced = true;
  const { attempt } = begin("deaf", 50, { journal });
  expect(await attempt.end).toMatchObject({ kind: "error", error: { name: "FencedError" } });
});

it("a busy loop answers no pings", async () => {
  const { file, attempt } = begin("busy", 600);
  await until(() => linesOf(file).length === 1);
  let answered = false;
  const pong = child.next("pong").then(() => (answered = true));
  child.send({ type: "ping", sequence: 3 });
  const other = new Promise((resolve) => setTimeout(resolve, 200));
  await other;
  expect(answered).toBe(false);
  await pong;
  expect((await attempt.end).kind).toBe("success");
});
