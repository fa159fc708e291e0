import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GraphSpec } from "../../src/worker/protocol.ts";
import { ChildParent, graph, linesOf, until } from "../support/child.ts";

const nodeModules = fileURLToPath(new URL("../../node_modules", import.meta.url));
let child: ChildParent;
let folder: string;

beforeEach(() => {
  child = new ChildParent();
  folder = mkdtempSync(join(tmpdir(), "reins-child-loading-"));
});
afterEach(async () => {
  await child.stop();
  rmSync(folder, { recursive: true });
});

/** A graph file of its own, outside of the repository. */
function write(path: string, text: string): GraphSpec {
  writeFileSync(join(folder, path), text);
  return { name: path, file: join(folder, path), exportName: "graph", isolation: "shared" };
}

async function answer(name: string): Promise<unknown> {
  const end = await child.start(name, {
    runId: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
    input: "{}",
    config: { tags: [], configurable: JSON.stringify({ tone: "warm" }) },
  }).end;
  expect(end.error).toBeUndefined();
  return JSON.parse(end.state?.values as string).answer;
}

describe("what a file may export", () => {
  it("a compiled graph, a builder, factories, an agent, the default; TypeScript and JavaScript", async () => {
    const names = ["compiled", "builder", "agent", "default", "factory", "asyncFactory"];
    const reports = await child.load(...names.map((name) => graph("kinds.ts", name)), graph("plain.js", "plain"));
    expect(reports).toEqual([
      ...["compiled", "builder", "agent", "default"].map((name) => ({ name, nodes: ["say"] })),
      { name: "factory" },
      { name: "asyncFactory" },
      { name: "plain", nodes: ["say"] },
    ]);
    for (const name of ["compiled", "builder", "agent", "default"]) {
      expect(await answer(name)).toBe("warm thread 1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    }
    expect(await answer("factory")).toBe("made for warm");
    expect(await answer("asyncFactory")).toBe("made later for warm");
    expect(await answer("plain")).toBe("plain JavaScript");
  });

  it("a factory that fails ends its run, nothing else", async () => {
    await child.load(graph("kinds.ts", "failingFactory"), graph("plain.js", "plain"));
    const end = await child.start("failingFactory", { input: "{}" }).end;
    expect(end).toEqual({ kind: "error", error: { name: "TypeError", message: "no graph today" } });
    expect(await answer("plain")).toBe("plain JavaScript");
  });
});

it("reports each graph that cannot be used, with its file and the error, and loads the others", async () => {
  const missing = { ...graph("kinds.ts", "compiled"), name: "missing", file: join(folder, "none.ts") };
  const reports = await child.load(
    graph("broken.ts", "graph", "broken"),
    missing,
    { ...missing, name: "python", file: join(folder, "agent.py") },
    { ...missing, name: "notebook", file: join(folder, "agent.ipynb") },
    { ...missing, name: "dotted", file: join(folder, "my_package.agent") },
    graph("kinds.ts", "absent"),
    graph("kinds.ts", "nothing"),
    graph("plain.js", "plain"),
  );
  const problems = Object.fromEntries(reports.map(({ name, problem }) => [name, problem]));
  expect(problems.broken).toMatch(/"broken" of .*broken\.ts cannot be used: this file is broken/);
  expect(problems.missing).toMatch(/none\.ts cannot be used: there is no such file/);
  const runs = /and Reins runs graphs in JavaScript and TypeScript/;
  for (const name of ["python", "notebook", "dotted"]) expect(problems[name]).toMatch(runs);
  expect(problems.python).toMatch(/"python" of .*agent\.py cannot be used: it is written in Python, /);
  expect(problems.absent).toMatch(/it exports no "absent"/);
  expect(problems.nothing).toMatch(/neither a graph nor a graph's builder/);
  expect(problems.plain).toBeUndefined();
  const end = await child.start("broken", { input: "{}" }).end;
  expect(end).toMatchObject({ kind: "error", error: { message: problems.broken } });
});

const enums = `
import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { word } from "./word";
enum Tone { Warm = "warm" }
class Speaker { constructor(private readonly tone: Tone) {} say() { return this.tone + " " + word; } }
export const graph = new StateGraph(Annotation.Root({ answer: Annotation<string> }))
  .addNode("say", () => ({ answer: new Speaker(Tone.Warm).say() }))
  .addEdge(START, "say");
`;

it.each([
  ["ES modules", '{"type": "module"}'],
  ["CommonJS", "{}"],
])("TypeScript with enums, parameter properties and paths without extension, as %s", async (_, manifest) => {
  symlinkSync(nodeModules, join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), manifest);
  writeFileSync(join(folder, "word.ts"), "export const word: string = 'words';");
  expect(await child.load(write("enums.ts", enums))).toEqual([{ name: "enums.ts", nodes: ["say"] }]);
  expect(await answer("enums.ts")).toBe("warm words");
});

it("counts the functions of a CommonJS graph as well", async () => {
  symlinkSync(nodeModules, join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), "{}");
  const log = join(folder, "log");
  const deaf = `
    const { appendFileSync } = require("node:fs");
    const { Annotation, START, StateGraph } = require("@langchain/langgraph");
    exports.graph = new StateGraph(Annotation.Root({ answer: Annotation }))
      .addNode("deaf", async () => {
        appendFileSync(${JSON.stringify(log)}, "started\\n");
        await new Promise((resolve) => setTimeout(resolve, 300));
        appendFileSync(${JSON.stringify(log)}, "settled\\n");
      })
      .addEdge(START, "deaf")
      .compile();`;
  expect(await child.load(write("deaf.cjs", deaf))).toEqual([{ name: "deaf.cjs", nodes: ["deaf"] }]);
  const attempt = child.start("deaf.cjs", { input: "{}" });
  await until(() => linesOf(log).length === 1);
  attempt.abort();
  expect((await attempt.end).kind).toBe("stopped");
  expect(linesOf(log)).toEqual(["started", "settled"]);
});

describe("the copy of LangGraph that the graph's own folder resolves", () => {
  function installed(version: string): void {
    const copy = join(folder, "node_modules/@langchain/langgraph");
    mkdirSync(copy, { recursive: true });
    writeFileSync(
      join(copy, "package.json"),
      JSON.stringify({ name: "@langchain/langgraph", version, main: "./index.js" }),
    );
    writeFileSync(join(copy, "index.js"), "throw new Error('must not be loaded')");
  }

  it.each(["0.4.9", "1.6.4", "2.0.0"])("is refused by name when it is %s", async (version) => {
    installed(version);
    const [report] = await child.load(write("old.ts", "import '@langchain/langgraph'; export const graph = 1;"));
    expect(report?.problem).toMatch(
      new RegExp(`@langchain/langgraph ${version} in .* is not supported; 1\\.7 or a later 1\\.x is needed`),
    );
  });

  it("is refused when its functions would escape the counting", async () => {
    // LangGraph as it is, but beside a core that it does not use: as if a release called its nodes in another way.
    const copies = { langgraph: ["", "pregel"], "langgraph-checkpoint": [""], core: ["singletons", "tools", "models"] };
    const runner = "export const AsyncLocalStorageProviderSingleton = { runWithConfig: (config, run) => run() };";
    const classes = "export class StructuredTool { invoke() {} } export class BaseChatModel { invoke() {} }";
    for (const [name, entries] of Object.entries(copies)) {
      const copy = join(folder, "node_modules/@langchain", name);
      mkdirSync(copy, { recursive: true });
      const exports: Record<string, unknown> = { "./package.json": "./package.json" };
      for (const entry of entries) {
        const real = join(nodeModules, "@langchain", name, "dist", entry, "index.js");
        const text =
          name !== "core" ? `export * from ${JSON.stringify(real)};` : entry === "singletons" ? runner : classes;
        writeFileSync(join(copy, `${entry || "index"}.js`), text);
        const path = entry === "models" ? "./language_models/chat_models" : entry === "" ? "." : `./${entry}`;
        exports[path] = { import: `./${entry || "index"}.js`, require: `./${entry || "index"}.js` };
      }
      writeFileSync(join(copy, "package.json"), JSON.stringify({ name, version: "1.99.0", type: "module", exports }));
    }
    writeFileSync(join(folder, "package.json"), '{"type": "module"}');
    const text = enums.replace('import { word } from "./word";', 'const word = "words";');
    const [report] = await child.load(write("escapes.ts", text));
    expect(report?.problem).toMatch(
      /Runs cannot be stopped reliably with @langchain\/langgraph 1\.99\.0 in .*: a task .* was not counted\./,
    );
  });

  it("is missed by name when there is none", async () => {
    const [report] = await child.load(write("none.ts", "export const graph = 1;"));
    expect(report?.problem).toMatch(/@langchain\/langgraph cannot be found from .*; install it there/);
  });

  it("must be the one that the graph was built with", async () => {
    symlinkSync(nodeModules, join(folder, "node_modules"));
    const foreign = "export const graph = { stream() {}, nodes: {}, withConfig() { return this; } };";
    const [report] = await child.load(write("foreign.js", foreign));
    expect(report?.problem).toMatch(/built with another copy of @langchain\/langgraph/);
  });
});
