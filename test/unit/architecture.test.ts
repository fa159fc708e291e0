import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** The house rules that a machine can check: which part may know of which, and what files look like. */
const root = join(import.meta.dirname, "../..");

interface Import {
  readonly from: string;
  /** A path from the root for the project's own files, else the package's name. */
  readonly to: string;
  /** Gone when the file runs. */
  readonly isType: boolean;
}

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(tsx?|js|mjs)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("node_modules/"));
}

const textOf = (file: string): string => readFileSync(join(root, file), "utf8");

function importsOf(file: string): Import[] {
  const text = textOf(file);
  const found = [
    ...text.matchAll(/^\s*(?:import|export)\s+(type\s)?[^;"'`]*?from\s+"([^"]+)"/gm),
    ...text.matchAll(/^\s*import\s+()"([^"]+)"/gm),
    ...text.matchAll(/(typeof\s+)?\bimport\("([^"]+)"\)/g),
  ];
  return found.map(([, type, name]) => ({ from: file, to: target(file, name!), isType: Boolean(type) }));
}

function target(file: string, name: string): string {
  if (name.startsWith(".")) return normalize(join(dirname(file), name));
  if (name.startsWith("node:")) return name;
  return name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");
}

const source = filesIn("src");
const imports = source.flatMap(importsOf);
const isOwn = ({ to }: Import) => to.startsWith("src/") || to.startsWith("gen/");
const show = ({ from, to }: Import) => `${from} -> ${to}`;

describe("who may know of whom", () => {
  it("finds imports at all", () => {
    expect(imports.length).toBeGreaterThan(300);
    expect(imports.map(show)).toContain("src/storage/database.ts -> mongodb");
    expect(imports.map(show)).toContain("src/main.ts -> src/app.ts");
  });

  /** Rules on texts alone, which server and child must read alike. */
  const textRules = [
    "src/domain/is-object.ts",
    "src/domain/run/callers-names.ts",
    "src/domain/run/open-questions.ts",
    "src/domain/shortened.ts",
  ];

  const watchdog = "src/worker/child/watchdog.ts";
  const readFilter = "src/access/langgraph/read-filter.ts";

  /** For each part: the parts whose code it may use, and those of which it may only know the types. */
  const parts: Record<string, { uses: string[]; types?: string[] }> = {
    "src/domain/": { uses: [] },
    "src/storage/": { uses: ["src/domain/"] },
    "src/checkpoints/": {
      uses: ["src/storage/", "src/domain/keep-trying.ts", "src/domain/aborted.ts", "src/domain/run/callers-names.ts"],
      types: ["src/domain/"],
    },
    "src/nudges/": { uses: ["src/domain/"] },
    "src/stream/": { uses: ["src/domain/", "src/checkpoints/"], types: ["src/storage/"] },
    "src/worker/": { uses: ["src/domain/", "src/checkpoints/"], types: ["src/storage/", "src/stream/"] },
    "src/worker/child/": {
      uses: ["src/checkpoints/", "src/give-memory-back.ts", ...textRules],
      types: ["src/worker/protocol.ts", "src/domain/transitions.ts"],
    },
    "src/webhooks/": { uses: ["src/domain/"] },
    "src/bodies/": { uses: ["src/domain/", "gen/"] },
    "src/access/": { uses: ["src/domain/", "gen/"] },
    /** An auth file runs in a process that is started and watched as those of the graphs are. */
    "src/access/langgraph/": {
      uses: ["src/access/", "src/domain/", "src/worker/child-group.ts", "src/worker/child-log.ts", watchdog],
    },
    "src/access/langgraph/process/": {
      uses: [watchdog, "src/worker/child/load-module.ts", "src/access/langgraph/events.ts", readFilter, ...textRules],
      types: ["src/access/langgraph/messages.ts", "src/domain/metadata-filter.ts"],
    },
    "src/cli/": {
      uses: ["src/access/", "src/domain/", "src/storage/", "src/config.ts", "src/log.ts", "src/open-database.ts"],
    },
    "src/services/": {
      uses: ["src/access/", "src/domain/", "src/bodies/", "gen/"],
      types: ["src/stream/", "src/worker/protocol.ts"],
    },
    "src/rest/": { uses: ["src/access/", "src/services/", "src/domain/", "src/server/", "src/bodies/", "gen/"] },
    "src/server/": {
      uses: ["src/access/", "src/bodies/", "src/domain/longest-timer.ts", "src/domain/shortened.ts", "gen/"],
    },
    "src/client/": { uses: ["gen/"] },
  };

  it.each(Object.entries(parts))("%s knows of its own and of what it may", (part, { uses, types = [] }) => {
    const inner = Object.keys(parts).filter((other) => other !== part && other.startsWith(part));
    const own = imports.filter(({ from }) => from.startsWith(part) && !inner.some((one) => from.startsWith(one)));
    expect(own.length).toBeGreaterThan(0);
    const allowed = (one: Import) =>
      [part, ...uses].some((other) => one.to.startsWith(other)) ||
      (one.isType && types.some((other) => one.to.startsWith(other)));
    expect(own.filter((one) => isOwn(one) && !allowed(one)).map(show)).toEqual([]);
  });

  it("only what starts a server knows of the wiring", () => {
    const users = imports.filter(({ from, to }) => to.startsWith("src/wiring/") && !from.startsWith("src/wiring/"));
    const starters = ["src/app.ts", "src/create-runs.ts", "src/open-database.ts"];
    expect([...new Set(users.map(({ from }) => from))].toSorted()).toEqual(starters);
  });

  /** Names that a closure of the first function uses above the line that declares them. */
  function usedBeforeTheyExist(file: string): string[] {
    const lines = textOf(file).split("\n");
    const begin = lines.findIndex((line) => /^export (async )?function /.test(line));
    return lines.flatMap((line, place) => {
      const [, one, many = ""] = /^ {2}(?:const|let) (?:(\w+)|\{(.*)\})(?:: .*)? =/.exec(line) ?? [];
      const names = [one ?? "", ...many.split(",").map((part) => part.split(/[:=]/).at(-1)!.trim())];
      const above = lines.slice(begin + 1, place).join("\n");
      const code = above.replaceAll(/\/\/.*|\/\*[\s\S]*?\*\/|"[^"]*"|`[^`]*`/g, "");
      return names.filter((name) => name !== "" && new RegExp(`(?<![.\\w])${name}\\b(?!\\s*\\??:)`).test(code));
    });
  }

  it("in the wiring nothing is used before it exists", () => {
    const wiring = source.filter((file) => file.startsWith("src/wiring/") || file === "src/create-runs.ts");
    expect(wiring.length).toBeGreaterThan(5);
    const early = wiring.map((file) => [file, usedBeforeTheyExist(file)] as const);
    expect(early.filter(([, names]) => names.length > 0)).toEqual([]);
  });

  it("the domain uses no package", () => {
    const domain = imports.filter((one) => one.from.startsWith("src/domain/") && !isOwn(one));
    expect(domain.filter(({ to }) => !to.startsWith("node:")).map(show)).toEqual([]);
  });

  it.each([
    ["mongodb", /^src\/storage\//],
    ["@connectrpc/connect-node", /^src\/(server|client)\//],
    ["@grpc/grpc-js", /^src\/client\//],
    ["pino", /^src\/log\.ts$/],
    ["undici", /^src\/webhooks\//],
    ["ipaddr.js", /^src\/webhooks\//],
    ["standardwebhooks", /^src\/webhooks\//],
  ])("%s is used in one place only", (name, place) => {
    expect(imports.filter((one) => one.to === name && !one.isType && !place.test(one.from)).map(show)).toEqual([]);
  });

  it.each([
    ["src/worker/child/main.ts", "src/checkpoints/journal-saver.ts", textRules],
    ["src/access/langgraph/process/main.ts", readFilter, ["src/domain/is-object.ts"]],
  ])("a child process loads no database, no server and no log: %s", (main, its, rules) => {
    const loaded = new Set([main]);
    for (const file of loaded) {
      for (const one of imports) if (one.from === file && !one.isType) loaded.add(one.to);
    }
    expect(loaded).toContain(its);
    const foreign = /^(src\/(storage|server|services|stream|client|domain)\/|gen\/|mongodb$|pino$|@connectrpc|@grpc)/;
    expect([...loaded].filter((name) => foreign.test(name)).toSorted()).toEqual(rules);
  });

  it("no file imports in a circle, not even types", () => {
    const uses = new Map(source.map((file) => [file, imports.filter((one) => one.from === file)]));
    const circle = (file: string, way: string[]): string[] | undefined => {
      if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
      for (const { to } of uses.get(file) ?? []) {
        const found = circle(to, [...way, file]);
        if (found) return found;
      }
      uses.delete(file);
      return undefined;
    };
    for (const file of source) expect(circle(file, [])).toBeUndefined();
  });

  it("what decides and what stores goes by the clock that it is given, but for the ids, which promise no order", () => {
    const parts = source.filter((file) => /^src\/(domain|storage|checkpoints)\//.test(file));
    const own = parts.filter((file) => /\bDate\.now\(\)|\bnew Date\(\)/.test(textOf(file)));
    expect(own).toEqual(["src/domain/ids.ts"]);
  });

  it("only config.ts reads the environment, and what must know whether LangChain's own variables turn its tracing on", () => {
    const readers = source.filter((file) => textOf(file).includes("process.env"));
    // The second one gives an auth file its variables.
    expect(readers.toSorted()).toEqual([
      "src/access/langgraph/process/main.ts",
      "src/config.ts",
      "src/worker/child/shared-run-tree.ts",
    ]);
  });
});

describe("files", () => {
  const files = ["src", "test", "scripts", "examples", "bin"].flatMap(filesIn);

  it("have at most 400 lines", () => {
    expect(files.filter((file) => textOf(file).split("\n").length - 1 > 400)).toEqual([]);
  });

  it("have names in kebab-case that say what is in them", () => {
    const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.property)?(\.test)?\.(tsx?|js|mjs)$/;
    const empty = /\b(utils?|helpers?|common|managers?|misc|lib)\b/;
    expect(files.filter((file) => !kebab.test(basename(file)) || empty.test(file))).toEqual([]);
  });
});

describe("dependencies", () => {
  interface Package {
    readonly scripts: Record<string, string>;
    readonly bin?: string | Record<string, string>;
    readonly dependencies: Record<string, string>;
    readonly devDependencies: Record<string, string>;
    readonly peerDependencies: Record<string, string>;
  }
  const manifest = (path: string) => JSON.parse(textOf(path)) as Package;
  const own = manifest("package.json");
  const everywhere = ["src", "test", "scripts", "examples", "gen"].flatMap(filesIn).flatMap(importsOf);
  const tools = [...Object.values(own.scripts), textOf("buf.gen.yaml"), ...filesIn("scripts").map(textOf)].join("\n");

  it("what runs in production is imported by it, and nothing else is", () => {
    const allowed = { ...own.dependencies, ...own.peerDependencies };
    const used = imports.filter((one) => !isOwn(one) && !one.to.startsWith("node:"));
    expect(used.filter(({ to }) => !(to in allowed)).map(show)).toEqual([]);
    const names = new Set([...used, ...filesIn("gen").flatMap(importsOf)].map(({ to }) => to));
    expect(Object.keys(own.dependencies).filter((name) => !names.has(name))).toEqual([]);
  });

  it("each is imported somewhere, or is a tool that a script runs", () => {
    const names = new Set(everywhere.map(({ to }) => to));
    const isTool = (name: string) => {
      const { bin = {} } = manifest(`node_modules/${name}/package.json`);
      const commands = typeof bin === "string" ? [name.split("/").at(-1)!] : Object.keys(bin);
      return commands.some((command) => new RegExp(`(^|[\\s"])${command}\\b`, "m").test(tools));
    };
    const isTypes = (name: string) => name.startsWith("@types/");
    const all = Object.keys({ ...own.dependencies, ...own.devDependencies, ...own.peerDependencies });
    expect(all.filter((name) => !names.has(name) && !isTypes(name) && !isTool(name))).toEqual([]);
  });
});
