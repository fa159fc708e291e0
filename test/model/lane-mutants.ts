import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Reduce } from "./lane-decide.ts";

/** A sentence of the reducer's code, and what stands in its place: one guard, order or rule left out. */
export interface Mutation {
  /** A path below src/domain. */
  readonly file: string;
  readonly code: string;
  readonly instead: string;
}

const domain = join(import.meta.dirname, "../../src/domain");

/** The reducer with the mutation, from a copy of the domain. Throws when the sentence is not there exactly once. */
export async function mutated({ file, code, instead }: Mutation): Promise<Reduce> {
  const text = readFileSync(join(domain, file), "utf8");
  if (text.split(code).length !== 2) throw new Error(`${file} does not have this exactly once: ${code}`);
  const folder = mkdtempSync(join(tmpdir(), "reins-mutant-"));
  try {
    cpSync(domain, folder, { recursive: true });
    writeFileSync(
      join(folder, file),
      text.replace(code, () => instead),
    );
    const { reduce } = (await import(join(folder, "thread/lane.ts"))) as { reduce: Reduce };
    return reduce;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
