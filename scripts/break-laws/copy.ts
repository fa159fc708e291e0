import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Break } from "./breaks.ts";

/** What the tests need of a checkout. */
const copied = [
  ...["src", "gen", "test", "examples", "proto", "third_party", "bin", "scripts"],
  ...["package.json", "tsconfig.json", "tsconfig.build.json", "vitest.config.ts", "README.md"],
];

/** A copy of the checkout's sources in a folder of its own, with the checkout's packages. */
export interface Copy {
  readonly folder: string;
  /** Applies the break, does the work, and takes the break back. */
  whileBroken<T>(one: Break, work: () => T): T;
  remove(): void;
}

export function copyCheckout(root: string): Copy {
  const folder = mkdtempSync(join(tmpdir(), "reins-breaks-"));
  for (const name of copied)
    if (existsSync(join(root, name))) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return {
    folder,
    whileBroken(one, work) {
      const path = join(folder, one.file);
      const whole = readFileSync(path, "utf8");
      writeFileSync(path, broken(one, whole));
      try {
        return work();
      } finally {
        writeFileSync(path, whole);
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The text with the break in it. Throws when a line is not found, or is found more than once: the table is out of date. */
export function broken({ file, lines }: Pick<Break, "file" | "lines">, text: string): string {
  return lines.reduce((whole, [from, to]) => {
    const parts = whole.split(from);
    if (parts.length !== 2)
      throw new Error(`${file} has ${parts.length - 1} places with ${JSON.stringify(from)}, not one`);
    return parts.join(to);
  }, text);
}
