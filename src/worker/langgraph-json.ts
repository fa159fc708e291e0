import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseEnv } from "node:util";
import { didYouMean } from "../domain/closest-word.ts";
import { DomainError } from "../domain/errors.ts";
import { isObject } from "../domain/is-object.ts";
import { withLanggraphConfig } from "./langgraph-config.ts";
import type { GraphSpec } from "./protocol.ts";

/** What Reins takes from a `langgraph.json`. */
export interface LanggraphJson {
  readonly graphs: GraphSpec[];
  /** For the processes that execute graphs. */
  readonly env: Record<string, string>;
  /** Who says who calls, and what that one may do; everybody may everything where it is absent. */
  readonly auth: AuthPath | undefined;
  /** A sentence for each key that means nothing here, although its user may count on it. */
  readonly warnings: readonly string[];
}

/** An export of a file. */
export interface AuthPath {
  readonly file: string;
  readonly exportName: string;
}

const keys = ["graphs", "env", "auth"];
const graphKeys = ["path", "description", "isolation"];
/** Nobody is let in for being LangSmith's Studio, so that there is nothing to disable. */
const authKeys = ["path", "disable_studio_auth"];

/** How the LangGraph CLI builds an image: there is nothing to be built here. */
const imageKeys = [
  ...["$schema", "dependencies", "dockerfile_lines", "base_image", "image_distro", "api_version", "keep_pkg_tools"],
  ...["node_version", "python_version", "pip_config_file", "pip_installer", "internal_docker_tag"],
];

/** A graph's name is part of URLs and of assistant ids. */
const graphName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;

const isolations = ["shared", "dedicated"] as const;

/**
 * Reads a configuration in the LangGraph CLI's format: `graphs` maps names to `"./file.ts:export"` or to
 * `{path, description?, isolation?}`, `env` is an object or the path of a .env file. Paths are relative to the file's folder.
 * Throws a {@link DomainError} whose sentence names the file, the key and what is allowed. Whether a graph's file is there and
 * works is found when it is loaded.
 */
export function readLanggraphJson(path: string): LanggraphJson {
  const file = resolve(path);
  const folder = dirname(file);
  const root = parse(file, read(file, "the configuration"));
  if (!isObject(root)) throw invalid(file, "", "must contain a JSON object");
  const { graphs, env, auth } = root;
  if (!isObject(graphs)) {
    const found = graphs === undefined ? "is missing" : "is no object";
    throw invalid(file, "graphs", `${found}; it maps graph names to "./file.ts:export"`);
  }
  if (Object.keys(graphs).length === 0) throw invalid(file, "graphs", "names no graph; at least one is needed");
  const specs = Object.entries(graphs).map(([name, value]) => readGraph(file, folder, name, value));
  const variables = readEnv(file, folder, env);
  return {
    graphs: withLanggraphConfig(specs, variables.LANGGRAPH_CONFIG, file),
    env: variables,
    auth: readAuth(file, folder, auth),
    warnings: [
      ...(isObject(auth) ? unknownKeys(file, "auth.", auth, authKeys) : []),
      ...unknownKeys(file, "", root, [...keys, ...imageKeys]),
      ...Object.entries(graphs).flatMap(([name, entry]) =>
        isObject(entry) ? unknownKeys(file, `graphs.${name}.`, entry, graphKeys) : [],
      ),
    ],
  };
}

function unknownKeys(file: string, above: string, found: object, known: readonly string[]): string[] {
  const unknown = Object.keys(found).filter((key) => !known.includes(key));
  return unknown.map(
    (key) => `${file}: "${above}${key}" means nothing to Reins and is left out${didYouMean(key, known)}`,
  );
}

function readGraph(file: string, folder: string, name: string, value: unknown): GraphSpec {
  const key = `graphs.${name}`;
  if (!graphName.test(name)) {
    throw invalid(
      file,
      key,
      'has an illegal name; allowed are up to 100 letters, digits, "_", "-" and ".", a letter or digit first',
    );
  }
  const entry = typeof value === "string" ? { path: value } : value;
  if (!isObject(entry)) throw invalid(file, key, 'must be "./file.ts:export" or an object with a path');
  const { path, description, isolation = "shared" } = entry;
  if (typeof path !== "string") throw invalid(file, `${key}.path`, 'must be a string like "./file.ts:export"');
  if (description !== undefined && typeof description !== "string") {
    throw invalid(file, `${key}.description`, "must be a string");
  }
  const known = isolations.find((allowed) => allowed === isolation);
  if (known === undefined) throw invalid(file, `${key}.isolation`, 'must be "shared" or "dedicated"');
  const { graphFile, exportName } = splitPath(path);
  if (exportName === "") {
    throw invalid(file, key, `has a path that ends in ":" ("${path}"); the name of an export is missing`);
  }
  if (graphFile === "")
    throw invalid(file, key, `has a path without a file ("${path}"); "./file.ts:export" is expected`);
  return {
    name,
    file: resolve(folder, graphFile),
    exportName,
    isolation: known,
    ...(description !== undefined && { description }),
  };
}

/** Never nothing for something that was meant to keep others out. */
function readAuth(file: string, folder: string, auth: unknown): AuthPath | undefined {
  if (auth === undefined || auth === null) return undefined;
  const path = isObject(auth) ? auth.path : undefined;
  const { graphFile, exportName } = splitPath(typeof path === "string" ? path : "");
  if (graphFile === "" || exportName === "") {
    throw invalid(
      file,
      "auth",
      'must be an object with a path like "./auth.ts:auth"; take the key out to serve without access control',
    );
  }
  return { file: resolve(folder, graphFile), exportName };
}

/** `./file.ts:export`; a colon in a folder's name or after a drive letter belongs to the file. */
function splitPath(path: string): { graphFile: string; exportName: string } {
  const match = /^(.*):([^/\\:]*)$/s.exec(path);
  if (match === null || /^[A-Za-z]$/.test(match[1]!)) return { graphFile: path, exportName: "default" };
  return { graphFile: match[1]!, exportName: match[2]! };
}

function readEnv(file: string, folder: string, env: unknown): Record<string, string> {
  if (env === undefined) return {};
  if (typeof env === "string") {
    const parsed = parseEnv(read(resolve(folder, env), `the .env file that ${file} names with its key "env"`));
    return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, value ?? ""]));
  }
  if (!isObject(env)) throw invalid(file, "env", "must be an object of strings or the path of a .env file");
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => {
      if (typeof value === "string") return [name, value];
      if (typeof value === "number" || typeof value === "boolean") return [name, String(value)];
      throw invalid(file, `env.${name}`, "must be a string, a number or a boolean");
    }),
  );
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : message;
    throw new DomainError("INVALID_FIELD", `${file}: ${what} cannot be read: ${reason}.`, { cause: error });
  }
}

function parse(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DomainError("INVALID_FIELD", `${file}: is not valid JSON: ${(error as Error).message}.`, {
      cause: error,
    });
  }
}

function invalid(file: string, key: string, what: string): DomainError {
  const where = key === "" ? file : `${file}: "${key}"`;
  return new DomainError("INVALID_FIELD", `${where} ${what}.`, { metadata: { file, ...(key !== "" && { key }) } });
}
