import type { TestProject } from "vitest/node";
import { startTestEngine } from "./engine.ts";

/** One database engine for the whole test run; test files reach it through `testDatabase()`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { stop, ...engine } = await startTestEngine();
  project.provide("engine", engine);
  return stop;
}
