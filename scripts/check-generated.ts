import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Fails when gen/ is not what the protos generate, byte by byte. */
const folder = mkdtempSync(join(tmpdir(), "reins-generated-"));
try {
  execFileSync("buf", ["generate", "-o", folder], { stdio: "inherit" });
  const committed = contents("gen");
  const fresh = contents(join(folder, "gen"));
  const names = new Set([...committed.keys(), ...fresh.keys()]);
  const stale = [...names].filter((name) => committed.get(name) !== fresh.get(name));
  for (const name of stale) console.error(`gen/${name} is not what the protos generate; run "npm run generate"`);
  if (stale.length > 0 || fresh.size === 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function contents(root: string): Map<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(root.length + 1), readFileSync(path, "utf8")];
    }),
  );
}
