import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readLanggraphJson } from "../../src/worker/langgraph-json.ts";
import { ChildParent, json, linesOf, MemoryJournal, until } from "../support/child.ts";

const config = fileURLToPath(new URL("../../examples/agents/langgraph.json", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "reins-child-examples-"));
const messages = [{ role: "user", content: "Is it safe?" }];
let child: ChildParent;

beforeAll(async () => {
  child = new ChildParent();
  const reports = await child.load(...readLanggraphJson(config).graphs);
  expect(reports.map(({ name, problem }) => [name, problem])).toEqual(
    ["agent", "approval", "team", "stubborn"].map((name) => [name, undefined]),
  );
});
afterAll(async () => {
  await child.stop();
  rmSync(folder, { recursive: true });
});

interface PlainMessage {
  readonly type: string;
  readonly content: string;
}
const messagesOf = (state: { readonly values?: string } | undefined) =>
  (JSON.parse(state?.values as string) as { messages: PlainMessage[] }).messages;

it("agent: uses its tool in each step and answers; its words are seen as they come", async () => {
  const input = JSON.stringify({ messages, steps: 2, delay_ms: 2 });
  const attempt = child.start("agent", { input, streamModes: ["messages"] });
  const { kind, state } = await attempt.end;
  expect(kind).toBe("success");
  expect(messagesOf(state).map(({ type }) => type)).toEqual(["human", "ai", "tool", "ai", "tool", "ai"]);
  expect(messagesOf(state).at(-1)?.content).toContain('You asked: "Is it safe?"');
  expect(json(attempt.events, "messages/partial").length).toBeGreaterThan(30);
});

it("agent: stops at once while its model speaks, and goes on to the same answer", async () => {
  const journal = new MemoryJournal();
  const input = JSON.stringify({ messages, steps: 1, delay_ms: 20 });
  const attempt = child.start("agent", { input, streamModes: ["messages-tuple"], journal });
  await until(() => attempt.events.length > 15);
  attempt.abort();
  expect((await attempt.end).kind).toBe("stopped");
  const { kind, state } = await child.start("agent", { journal }).end;
  expect(kind).toBe("success");
  expect(messagesOf(state).map(({ type }) => type)).toEqual(["human", "ai", "tool", "ai"]);
});

it("approval: asks, takes a wish, asks again, sends", async () => {
  const journal = new MemoryJournal();
  const asked = await child.start("approval", { input: JSON.stringify({ messages, delay_ms: 1 }), journal }).end;
  expect(JSON.parse(asked.state?.interrupts[0]?.value as string)).toMatchObject({ question: "May this be sent?" });
  const again = await child.start("approval", { command: { resume: '"on Monday"' }, journal }).end;
  expect(JSON.parse(again.state?.interrupts[0]?.value as string).draft).toContain("on Monday");
  const sent = await child.start("approval", { command: { resume: '"approve"' }, journal }).end;
  expect(sent.state?.next).toEqual([]);
  expect(messagesOf(sent.state).at(-1)?.content).toMatch(/^Sent: .*on Monday/);
});

it("team: two subgraphs in parallel, joined", async () => {
  const input = JSON.stringify({ messages, delay_ms: 2 });
  const attempt = child.start("team", { input, streamModes: ["custom"], streamSubgraphs: true });
  const { state } = await attempt.end;
  expect(messagesOf(state).at(-1)?.content).toBe("Our report: The critic read 3 pages, The researcher read 5 pages.");
  expect(json(attempt.events, "custom")).toHaveLength(8);
});

it.each(["polite", "deaf", "busy"])(
  "stubborn: %s leaves its heartbeat while it works and none afterwards",
  async (mode) => {
    const file = join(folder, mode);
    const ms = mode === "polite" ? 60_000 : 500;
    const attempt = child.start("stubborn", { input: JSON.stringify({ mode, ms, heartbeat_file: file }) });
    await until(() => linesOf(file).length > 2);
    attempt.abort();
    const end = await attempt.end;
    // A polite one stops at the next beat, the others work to their end.
    const [first, ...beats] = linesOf(file);
    expect(Date.now() - Number(first) >= ms).toBe(mode !== "polite");
    expect(end.kind).toBe("stopped");
    await sleep(60);
    expect(linesOf(file)).toHaveLength(1 + beats.length);
  },
);

it("stubborn: refuses an unknown mode", async () => {
  const end = await child.start("stubborn", { input: '{"mode":"lazy"}' }).end;
  expect(end.error?.message).toBe('"lazy" is not a mode; there are polite, deaf and busy.');
});
