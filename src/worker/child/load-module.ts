import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { register as registerCommonJs } from "tsx/cjs/api";
import { register as registerModules } from "tsx/esm/api";

/** What Node and tsx load as modules. */
const moduleExtension = /\.[cm]?[jt]sx?$/i;

/** TypeScript of every kind (enums, paths without extension) in both module systems. */
export function registerTypeScript(): void {
  registerModules();
  registerCommonJs();
}

/** Throws a sentence's end for a file that cannot be loaded. `what`: "graphs", for example. */
export function checkLoadable(file: string, what: string): void {
  const whatRuns = `Reins runs ${what} in JavaScript and TypeScript (.js, .mjs, .cjs, .ts, .mts, .cts, .jsx, .tsx)`;
  if (/\.(pyc?|ipynb)$/i.test(file)) throw new Error(`it is written in Python, and ${whatRuns}`);
  if (!moduleExtension.test(file)) throw new Error(`its file is no module that Node can load, and ${whatRuns}`);
  if (!existsSync(file)) throw new Error("there is no such file");
}

type Module = Readonly<Record<string, unknown>>;

/** What a file exports under a name. Throws a sentence's end when it exports nothing there. */
export async function loadExport(file: string, name: string): Promise<unknown> {
  const exported = exportOf((await import(pathToFileURL(file).href)) as Module, name);
  if (exported === undefined) throw new Error(`it exports no "${name}"`);
  return exported;
}

/** The export, also of a CommonJS file, whose exports arrive as a default of their own. */
function exportOf(module: Module, name: string): unknown {
  const commonJs = module["module.exports"] ?? module.default;
  if (typeof commonJs === "object" && commonJs !== null && name in commonJs) return (commonJs as Module)[name];
  return module[name];
}
