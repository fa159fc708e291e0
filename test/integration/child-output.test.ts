import { afterEach, beforeEach, expect, it } from "vitest";
import { ChildParent, graph, json, until } from "../support/child.ts";

let child: ChildParent;
beforeEach(async () => {
  child = new ChildParent();
  await child.load(
    graph("streams.ts", "flood"),
    graph("streams.ts", "careless"),
    graph("streams.ts", "logging"),
    graph("work.ts", "deaf"),
  );
});
afterEach(() => child.stop());

const flood = (count: number, perStep: number, size: number) => JSON.stringify({ count, perStep, size });

it("output waits for room: no more than 1,000 events are on their way, and the graph stands still", async () => {
  const spec = { input: flood(5_000, 100, 10), streamModes: ["custom"] as const, store: false };
  const attempt = child.start("flood", { ...spec, config: { tags: [], recursionLimit: 100 } });
  await until(() => attempt.events.length >= 1_000);
  const steps = () => attempt.journal.flushes.flatMap((flush) => flush.checkpoints).length;
  const before = steps();
  // A neighbour with all the room runs to its end meanwhile.
  const neighbour = child.start("flood", { ...spec, store: true, input: flood(1_000, 100, 10) });
  expect((await neighbour.end).kind).toBe("success");
  expect(attempt.events).toHaveLength(1_000);
  // What was under way when room ran out is all that the graph went on with.
  expect(steps()).toBeLessThanOrEqual(before + 2);
  expect(steps()).toBeLessThan(20);

  let stored = 0;
  const storing = setInterval(() => {
    stored = attempt.events.length;
    attempt.stored(stored);
  }, 1);
  expect((await attempt.end).kind).toBe("success");
  clearInterval(storing);
  expect(json(attempt.events, "custom").map((event) => (event as { number: number }).number)).toEqual(
    Array.from({ length: 5_000 }, (_, number) => number),
  );
});

it("output waits for room: also what one node writes without a pause", async () => {
  const attempt = child.start("flood", { input: flood(3_000, 3_000, 10), streamModes: ["custom"], store: false });
  for (const expected of [1_000, 2_000, 3_000]) {
    await until(() => attempt.events.length >= expected);
    const pong = child.next("pong");
    child.send({ type: "ping", sequence: expected });
    await pong;
    expect(attempt.events).toHaveLength(expected);
    attempt.stored(expected);
  }
  expect((await attempt.end).kind).toBe("success");
});

it("output waits for room: about a megabyte", async () => {
  const attempt = child.start("flood", { input: flood(40, 1, 100_000), streamModes: ["custom"], store: false });
  await until(() => attempt.events.length >= 10);
  const pong = child.next("pong");
  child.send({ type: "ping", sequence: 1 });
  await pong;
  expect(attempt.events.length).toBe(10);
  attempt.abort();
  expect((await attempt.end).kind).toBe("stopped");
  expect(attempt.events.length).toBe(10);
});

it("an unhandled rejection is reported with its attempt and ends nothing", async () => {
  const [one, two] = ["one", "two"].map((name) =>
    child.start("careless", { input: JSON.stringify({ name, how: "rejects" }) }),
  );
  expect((await one?.end)?.kind).toBe("success");
  expect((await two?.end)?.kind).toBe("success");
  expect(child.faults.map(({ attemptId, error }) => [attemptId, error.name, error.message])).toEqual([
    ["attempt-1", "RangeError", "slip of one"],
    ["attempt-2", "RangeError", "slip of two"],
  ]);
  expect(child.faults[0]?.error.stack).toContain("streams.ts");
});

it("an uncaught exception is reported with its attempt and ends the process", async () => {
  const attempt = child.start("careless", { input: JSON.stringify({ name: "one", how: "throws" }) });
  attempt.end.catch(() => {});
  expect(await child.exited).toEqual([70, null]);
  expect(child.faults).toMatchObject([
    { attemptId: "attempt-1", error: { name: "RangeError", message: "throw of one" } },
  ]);
});

it("lines on the console carry the run's id", async () => {
  const runId = crypto.randomUUID();
  await child.start("careless", { runId, input: JSON.stringify({ name: "one" }) }).end;
  await until(() => child.stdout.includes("second") && child.stderr.includes("\n"));
  const mark = `\x1e${runId}\x1f`;
  expect(child.stdout).toBe(`${mark}first of one\n${mark}second of one\n`);
  expect(child.stderr).toBe(`${mark}no end of line from one\n`);
});

it("a graph has the logger of LangGraph's servers, whose lines carry the run's id", async () => {
  const runId = crypto.randomUUID();
  expect((await child.start("logging", { runId, input: JSON.stringify({ name: "one" }) }).end).kind).toBe("success");
  await until(() => child.stdout.includes("debug") && child.stderr.includes("\n"));
  const mark = `\x1e${runId}\x1f`;
  expect(child.stdout).toBe(`${mark}info: info of one { place: 1 }\n${mark}debug: { name: 'one' }\n`);
  expect(child.stderr).toMatch(new RegExp(`^${mark}error: error of RangeError: one\n${mark} +at `));
});

it("ends when its parent is gone", async () => {
  child.process.disconnect();
  expect(await child.exited).toEqual([0, null]);
});
