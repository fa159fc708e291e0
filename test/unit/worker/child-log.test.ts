import { pino } from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import { type ChildLog, createChildLog } from "../../../src/worker/child-log.ts";

let lines: { level: number; msg: string; runId?: string; runIds?: string[]; leftOutBytes?: number }[];
let now: number;
let output: ChildLog;

function write(text: string): void {
  output.write(Buffer.from(text));
}

const texts = () => lines.map(({ msg }) => msg);

beforeEach(() => {
  lines = [];
  now = 0;
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  output = createChildLog({ log, stream: "stdout", runIds: () => ["a", "b"], nowMs: () => now });
});

describe("a child's output", () => {
  it("is logged line by line, however it arrives", () => {
    write("one\ntw");
    write("o\r\n\nthr");
    write("ee");
    expect(texts()).toEqual(["one", "two"]);
    output.end();
    expect(texts()).toEqual(["one", "two", "three"]);
  });

  it("keeps characters whole that arrive in two pieces", () => {
    const bytes = Buffer.from("grüße\n");
    output.write(bytes.subarray(0, 3));
    output.write(bytes.subarray(3));
    expect(texts()).toEqual(["grüße"]);
  });

  it("names the run of a marked line, and all runs of any other", () => {
    write("\x1erun-7\x1fmarked\nplain\n\x1ebroken mark\n");
    expect(lines).toMatchObject([
      { runId: "run-7", msg: "marked" },
      { runIds: ["a", "b"], msg: "plain" },
      { runIds: ["a", "b"], msg: "\x1ebroken mark" },
    ]);
  });

  it("is cut when a line is very long, without keeping the rest", () => {
    for (let index = 0; index < 100; index += 1) write("x".repeat(1_000));
    write("\nnext\n");
    expect(texts()).toEqual([`${"x".repeat(8 * 1024)} … (cut, 100000 bytes)`, "next"]);
  });

  it("is left out above the limit, counted, and goes on at the beginning of a line", () => {
    const line = `${"x".repeat(1_023)}\n`;
    for (let index = 0; index < 1_000; index += 1) write(line);
    const taken = lines.length;
    expect(taken).toBeGreaterThan(200);
    expect(taken).toBeLessThan(256);
    write("the beginning of a line, ");
    now += 1_000;
    write("its end\nafter the flood\n");
    expect(lines.slice(taken)).toMatchObject([
      { leftOutBytes: (1_000 - taken) * 1_024 + "the beginning of a line, its end".length },
      { msg: "after the flood" },
    ]);
  });

  it("is not taken for more when the lines are empty", () => {
    write("\n".repeat(1_000_000));
    now += 10_000;
    write("next\n");
    expect(texts().at(-1)).toBe("next");
    expect(lines.some(({ leftOutBytes = 0 }) => leftOutBytes > 900_000)).toBe(true);
  });
});
