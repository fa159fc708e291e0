import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { DomainError } from "../../src/domain/errors.ts";
import { readLanggraphJson } from "../../src/worker/langgraph-json.ts";

const folder = mkdtempSync(join(tmpdir(), "reins-langgraph-json-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: unknown, name = "langgraph.json"): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

describe("a legal configuration", () => {
  it("names graphs by path and export, relative to the file", () => {
    const path = file({
      dependencies: ["."],
      node_version: "24",
      dockerfile_lines: [],
      graphs: {
        agent: "./src/agent.ts:graph",
        plain: "./plain.js",
        other_1: { path: "./other.ts:make", description: "Another.", isolation: "dedicated" },
      },
    });
    expect(readLanggraphJson(path)).toEqual({
      graphs: [
        { name: "agent", file: join(folder, "src/agent.ts"), exportName: "graph", isolation: "shared" },
        { name: "plain", file: join(folder, "plain.js"), exportName: "default", isolation: "shared" },
        {
          name: "other_1",
          file: join(folder, "other.ts"),
          exportName: "make",
          isolation: "dedicated",
          description: "Another.",
        },
      ],
      env: {},
      warnings: [],
    });
  });

  it("warns of every key that means nothing here, and asks what was meant", () => {
    const graphs = { agent: { path: "./a.ts", isolaton: "dedicated" }, plain: "./b.ts" };
    const path = file({ graphs, envs: {}, store: {}, http: {}, checkpointer: {}, anything: 1, auth: null });
    const means = (key: string, end = ".") => `${path}: "${key}" means nothing to Reins and is left out${end}`;
    expect(readLanggraphJson(path).warnings).toEqual([
      means("envs", "; did you mean env?"),
      means("store"),
      means("http"),
      means("checkpointer"),
      means("anything"),
      means("graphs.agent.isolaton", "; did you mean isolation?"),
    ]);
  });

  it("names the export that says who may do what", () => {
    const graphs = { a: "./a.ts" };
    const auth = { path: "./access/auth.ts:mine", disable_studio_auth: true, cache: {} };
    const path = file({ graphs, auth });
    const read = readLanggraphJson(path);
    expect(read.auth).toEqual({ file: join(dirname(path), "access/auth.ts"), exportName: "mine" });
    expect(read.warnings).toEqual([`${path}: "auth.cache" means nothing to Reins and is left out.`]);
    expect(readLanggraphJson(file({ graphs, auth: { path: "./auth.ts" } })).auth?.exportName).toBe("default");
  });

  it("has its environment as an object or in a .env file", () => {
    const graphs = { agent: "./a.ts:graph" };
    const inline = readLanggraphJson(file({ graphs, env: { KEY: "value", COUNT: 3, ON: true } }));
    expect(inline.env).toEqual({ KEY: "value", COUNT: "3", ON: "true" });
    file('# a comment\nKEY=value\nQUOTED="two words"\n', ".env");
    expect(readLanggraphJson(file({ graphs, env: ".env" })).env).toEqual({ KEY: "value", QUOTED: "two words" });
  });

  it("configures graphs' own assistants by LANGGRAPH_CONFIG", () => {
    const settings = { tags: ["t"], recursion_limit: 9, configurable: { a: 1 }, context: { b: 2 }, metadata: { c: 3 } };
    const env = { LANGGRAPH_CONFIG: JSON.stringify({ agent: settings, plain: {} }) };
    const graphs = { agent: "./a.ts:graph", plain: "./b.ts:graph", other: "./c.ts:graph" };
    const read = readLanggraphJson(file({ graphs, env }));
    expect(read.graphs.map(({ name, config, context }) => [name, config, context])).toEqual([
      ["agent", { tags: ["t"], recursionLimit: 9, configurable: '{"a":1}', metadata: '{"c":3}' }, '{"b":2}'],
      ["plain", { tags: [] }, undefined],
      ["other", undefined, undefined],
    ]);
    expect(read.env).toEqual(env);
  });

  it("is what the bundled examples have", () => {
    const path = fileURLToPath(new URL("../../examples/agents/langgraph.json", import.meta.url));
    expect(readLanggraphJson(path).graphs.map(({ name }) => name)).toEqual(["agent", "approval", "team", "stubborn"]);
  });
});

describe("an illegal configuration is one sentence with file, key and what is allowed", () => {
  it.each<[string, unknown, RegExp]>([
    ["broken JSON", "{", /langgraph\.json: is not valid JSON: /],
    ["no object", [], /langgraph\.json must contain a JSON object\.$/],
    ["no graphs", {}, /"graphs" is missing; it maps graph names to "\.\/file\.ts:export"\.$/],
    ["graphs as a list", { graphs: ["./a.ts"] }, /"graphs" is no object; it maps/],
    [
      "access control, which would be left out",
      { graphs: { a: "./a.ts" }, auth: { disable_studio_auth: true } },
      /"auth" must be an object with a path like "\.\/auth\.ts:auth"; take the key out /,
    ],
    ["access control of no shape", { graphs: { a: "./a.ts" }, auth: false }, /"auth" must be an object/],
    ["no graph", { graphs: {} }, /"graphs" names no graph; at least one is needed\.$/],
    ["an illegal name", { graphs: { "my agent": "./a.ts" } }, /"graphs\.my agent" has an illegal name; allowed are/],
    ["an empty name", { graphs: { "": "./a.ts" } }, /"graphs\." has an illegal name/],
    ["a number", { graphs: { a: 1 } }, /"graphs\.a" must be "\.\/file\.ts:export" or an object with a path\.$/],
    ["no path", { graphs: { a: {} } }, /"graphs\.a\.path" must be a string/],
    ["a path without a file", { graphs: { a: ":graph" } }, /"graphs\.a" has a path without a file \(":graph"\)/],
    ["a path without an export", { graphs: { a: "./a.ts:" } }, /"graphs\.a" has a path that ends in ":"/],
    [
      "an unknown isolation",
      { graphs: { a: { path: "./a.ts", isolation: "own" } } },
      /"graphs\.a\.isolation" must be "shared" or "dedicated"\.$/,
    ],
    [
      "a description that is no text",
      { graphs: { a: { path: "./a.ts", description: 1 } } },
      /"graphs\.a\.description" must be a string\.$/,
    ],
    [
      "env as a number",
      { graphs: { a: "./a.ts" }, env: 1 },
      /"env" must be an object of strings or the path of a \.env file\.$/,
    ],
    [
      "env with an object in it",
      { graphs: { a: "./a.ts" }, env: { A: {} } },
      /"env\.A" must be a string, a number or a boolean\.$/,
    ],
    [
      "a .env file that is not there",
      { graphs: { a: "./a.ts" }, env: "none.env" },
      /none\.env: the \.env file that .* names with its key "env" cannot be read: there is no such file\.$/,
    ],
    ...[
      ["{", /"env\.LANGGRAPH_CONFIG" is not valid JSON/],
      ["[]", /"env\.LANGGRAPH_CONFIG" is no configuration of graphs/],
      ['{"a":{"tags":"x"}}', /LANGGRAPH_CONFIG" is no configuration of graphs: a: tags: /],
      ['{"a":{"configurable":{"thread_id":"x"}}}', /LANGGRAPH_CONFIG": a\.configurable: the key "thread_id" belongs/],
      ['{"b":{}}', /LANGGRAPH_CONFIG" names the graph "b"; the graphs are a\.$/],
    ].map(([value, message]): [string, unknown, RegExp] => [
      `LANGGRAPH_CONFIG ${value}`,
      { graphs: { a: "./a.ts" }, env: { LANGGRAPH_CONFIG: value } },
      message as RegExp,
    ]),
  ])("%s", (_, content, message) => {
    const path = file(content);
    expect(() => readLanggraphJson(path)).toThrow(DomainError);
    expect(() => readLanggraphJson(path)).toThrow(message);
  });

  it("a missing file", () => {
    const path = join(folder, "none.json");
    expect(() => readLanggraphJson(path)).toThrow(
      /none\.json: the configuration cannot be read: there is no such file\.$/,
    );
  });
});
