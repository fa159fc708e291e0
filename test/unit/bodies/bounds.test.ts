import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CancelRunsRequestSchema, CreateRunRequestSchema, RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { BodyError, smallBytes, smallValues } from "../../../src/bodies/body-error.ts";
import { foldJson, maxBeside } from "../../../src/bodies/fold-json.ts";
import { JsonScan } from "../../../src/bodies/json-scan.ts";
import { createLargeBodies } from "../../../src/bodies/large-bodies.ts";
import { toLightMessage } from "../../../src/bodies/light-message.ts";
import { textOf } from "../../../src/bodies/payload-text.ts";
import { countFields } from "../../../src/bodies/wire-scan.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const listOf = (count: number, item: string) => `[${Array(count).fill(item).join(",")}]`;

/** What is wrong, or the result. */
function faultOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    if (error instanceof BodyError) return error.fault;
    throw error;
  }
}

describe("a scan of JSON", () => {
  function count(text: string, most = 1e9, size = 64 * 1024) {
    const scan = new JsonScan(most);
    const bytes = bytesOf(text);
    for (let at = 0; at < bytes.length; at += size) scan.push(bytes.subarray(at, at + size));
    return scan.values;
  }

  it.each([
    ["1", 1],
    ["[]", 2],
    ["[1,2,3]", 4],
    ['{"a":[1,{"b":2}]}', 5],
    ['"[,{,\\"[,"', 1],
    ['["\\\\",1]', 3],
    ['["\\\\\\"",1]', 3],
    ['["é,[\\u005b",1]', 3],
  ])("counts the values of %s, in one piece and byte by byte", (text, values) => {
    expect([count(text), count(text, 1e9, 1)]).toEqual([values, values]);
  });

  it("refuses one level or one value too many, and nothing less", () => {
    expect(faultOf(() => count(nested(1000)))).toBe(1001);
    expect(faultOf(() => count(nested(1001)))).toBe("too_deep");
    expect(faultOf(() => count("[".repeat(16_000_000)))).toBe("too_deep");
    expect(faultOf(() => count(listOf(100, "1"), 101))).toBe(101);
    expect(faultOf(() => count(listOf(101, "1"), 101))).toBe("too_large");
  });
});

describe("a body whose payloads are taken out", () => {
  const fold = (text: string, names = ["input", "update"]) => foldJson(bytesOf(text), names, 1e9);

  it("keeps the rest, and names the places of the texts", () => {
    const body =
      '[{"assistant_id":"a","input":{"x":[1,{"y":2}]},"command":{"update":{"k":[1],"n":3},"goto":["b"]}},{"input":7}]';
    expect(fold(body)).toEqual({
      body: [{ assistant_id: "a", input: null, command: { update: { k: null, n: 3 }, goto: ["b"] } }, { input: 7 }],
      texts: [
        { path: [0, "input"], text: '{"x":[1,{"y":2}]}' },
        { path: [0, "command", "update", "k"], text: "[1]" },
      ],
    });
  });

  it("does not lose the name __proto__", () => {
    const { body } = fold('{"metadata":{"__proto__":{"a":1}}}');
    expect(JSON.stringify(body)).toBe('{"metadata":{"__proto__":{"a":1}}}');
  });

  it("bounds what is left, and only that", () => {
    expect(faultOf(() => fold(`{"ids":${listOf(maxBeside, "1")}}`))).toBe("too_large");
    expect(faultOf(() => fold(`{"update":{${Array.from({ length: maxBeside }, (_, i) => `"k${i}":1`)}}}`))).toBe(
      "too_large",
    );
    expect(fold(`{"input":${listOf(10 * maxBeside, "1")}}`).body).toEqual({ input: null });
  });

  it("refuses what is no JSON", () => {
    expect(faultOf(() => fold("{"))).toBe("malformed");
    expect(faultOf(() => foldJson(Uint8Array.of(0x22, 0xff, 0x22), [], 10))).toBe("malformed");
  });
});

describe("a binary message", () => {
  const desc = CreateRunRequestSchema;
  const listValue = (count: number) => ({
    kind: {
      case: "listValue" as const,
      value: { values: Array(count).fill({ kind: { case: "boolValue", value: true } }) },
    },
  });
  const request = (count: number) =>
    create(desc, { spec: { assistantId: "a", input: { encoding: { case: "value", value: listValue(count) } } } });

  it.each([
    ["values in lists", toBinary(desc, request(100)), 2 * 100],
    ["unknown fields", Uint8Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0x78 : 1)), 100],
    ["items of a packed list", Uint8Array.of(0x1a, 104, 0x42, 102, ...Array(102).fill(1)), 102],
    ["empty messages", Uint8Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0x1a : 0)), 100],
  ])("counts %s, and stops where it is enough", (_, bytes, least) => {
    expect(countFields(desc, bytes, 1e9)).toBeGreaterThanOrEqual(least);
    expect(countFields(desc, bytes, 1e9)).toBeLessThan(least + 10);
    expect(countFields(desc, bytes, 50)).toBeLessThan(50 + 110);
  });

  it("counts what it can of bytes that are no message", () => {
    expect(countFields(desc, Uint8Array.of(0x1a, 0xff), 10)).toBe(1);
  });

  it.each(["binary", "json"] as const)("is made light, and says the same: %s", (codec) => {
    const message = request(1000);
    const bytes = codec === "binary" ? toBinary(desc, message) : bytesOf(toJsonString(desc, message));
    const light = fromBinary(desc, toLightMessage(RunService.method.createRun, bytes, codec, 1e6));
    expect(light.spec!.input!.encoding.case).toBe("json");
    expect(textOf(light.spec!.input, "spec.input")).toBe(listOf(1000, "true"));
    expect(light.spec!.assistantId).toBe("a");
  });

  it("is refused for more values than are allowed, for more beside its payloads, and for payloads that are none", () => {
    const createRun = (bytes: Uint8Array, codec: "json" | "binary" = "binary", most = 1e6) =>
      faultOf(() => toLightMessage(RunService.method.createRun, bytes, codec, most));
    expect(createRun(toBinary(desc, request(1000)), "binary", 1000)).toBe("too_large");
    expect(createRun(bytesOf(`{"spec":{"streamModes":${listOf(1001, "1")}}}`), "json", 1000)).toBe("too_large");
    expect(createRun(bytesOf(nested(1001)), "json")).toBe("too_deep");
    expect(createRun(bytesOf('{"spec":{"inputs":1}}'), "json")).toBe("malformed");
    expect(createRun(Uint8Array.of(0x1a, 0xff))).toBe("malformed");
    const ids = create(CancelRunsRequestSchema, {
      target: { case: "runs", value: { threadId: "", runIds: Array(maxBeside + 1).fill("") } },
    });
    const bytes = toBinary(CancelRunsRequestSchema, ids);
    expect(faultOf(() => toLightMessage(RunService.method.cancelRuns, bytes, "binary", 1e6))).toBe("too_large");
    const spec = (text: string) =>
      create(desc, { spec: { input: { encoding: { case: "json", value: bytesOf(text) } } } });
    expect(createRun(toBinary(desc, spec("{")))).toBe("field");
    expect(createRun(toBinary(desc, spec(nested(1001))))).toBe("field");
    const settings = `{${Array.from({ length: maxBeside + 1 }, (_, i) => `"k${i}":1`)}}`;
    const configurable = { encoding: { case: "json" as const, value: bytesOf(settings) } };
    expect(createRun(toBinary(desc, create(desc, { spec: { config: { configurable } } })))).toBe("field");
  });
});

describe("which bodies are read elsewhere", () => {
  it("those with many bytes, and those with many values", async () => {
    const asked: string[] = [];
    const large = createLargeBodies({
      maxValues: 1e6,
      async run(task) {
        asked.push(task.kind);
        return { kind: "fault", fault: "busy", message: "", field: undefined };
      },
    });
    const { input } = RunService.method.createRun;
    expect(large.isSmallJson(bytesOf(`"${"x".repeat(smallBytes - 2)}"`))).toBe(true);
    expect(large.isSmallJson(bytesOf(`"${"x".repeat(smallBytes - 1)}"`))).toBe(false);
    expect(large.isSmallJson(bytesOf(listOf(smallValues - 1, "1")))).toBe(true);
    expect(large.isSmallJson(bytesOf(listOf(smallValues, "1")))).toBe(false);
    expect(large.isSmallMessage(input, new Uint8Array(smallBytes + 1), "binary")).toBe(false);
    expect(
      large.isSmallMessage(
        input,
        Uint8Array.from({ length: 2 * smallValues + 2 }, (_, i) => (i % 2 ? 0 : 0x1a)),
        "binary",
      ),
    ).toBe(false);
    expect(large.isSmallMessage(input, Uint8Array.of(0x1a, 0), "binary")).toBe(true);
    await expect(large.readJson(bytesOf("1"), [])).rejects.toThrow(BodyError);
    await expect(large.readMessage(RunService.method.createRun, bytesOf("{}"), "json")).rejects.toThrow(BodyError);
    await large.canonicalOf('{"b":1,"a":2}');
    await expect(large.canonicalOf(`"${"x".repeat(smallBytes)}"`)).rejects.toThrow(BodyError);
    expect(asked).toEqual(["json", "message", "canonical"]);
  });
});
