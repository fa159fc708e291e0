import { readFileSync } from "node:fs";
import { matchesGlob } from "node:path";
import type { PythonRelease } from "../peers/install.ts";

export type PeerName = "python" | "javascript";

/** A row of the table in docs/compatibility.md. */
export interface KnownDifference {
  readonly id: string;
  /** Globs of calls, as `cancel/*`, and of places in the answer, as `body/detail`. */
  readonly calls: readonly string[];
  readonly places: readonly string[];
  /** What each answers there, in words; code in it is one of the values that it may have. A peer that is absent agrees with Reins. */
  readonly reins: string;
  readonly peers: Readonly<Partial<Record<PeerName, string>>>;
  /** The peers that differ each time; the others do so depending on the moment. */
  readonly always: readonly PeerName[];
  readonly reason: string;
}

const head = ["id", "calls", "place", "Reins", "Python", "JavaScript", "reason"];

/** How a cell of the Python column begins which is true of one of its releases alone. */
const onlyOf: Record<PythonRelease, RegExp> = { newest: /^before 0\.18: /, next: /^since 0\.18: / };

/** What a cell says of a release; undefined where it speaks of another one, with which there is then no difference. */
function ofRelease(cell: string, release: PythonRelease): string | undefined {
  const said = (Object.keys(onlyOf) as PythonRelease[]).find((one) => onlyOf[one].test(cell));
  if (said === undefined) return cell;
  return said === release ? cell.replace(onlyOf[said], "") : undefined;
}

/**
 * Reads the rows of the one table that has this head. In a peer's column `=` means that it agrees with Reins, and a cell that begins
 * with "sometimes" that it does now and then. A cell of Python's may begin with the release that it is true of.
 */
export function readKnownDifferences(file: string, release: PythonRelease = "newest"): KnownDifference[] {
  const lines = readFileSync(file, "utf8").split("\n");
  const start = lines.findIndex((line) => cells(line).join() === head.join());
  if (start < 0) throw new Error(`${file} has no table with the columns ${head.join(", ")}`);
  const rows: KnownDifference[] = [];
  for (const line of lines.slice(start + 2)) {
    if (!line.startsWith("|")) break;
    const [id, calls, places, reins, pythons, javascript, reason] = cells(line);
    const python = ofRelease(pythons ?? "", release);
    if (!reason) throw new Error(`${file}: row ${id} has no reason, or not seven cells`);
    if (python === undefined) continue;
    if (rows.some((row) => row.id === id)) throw new Error(`${file}: there are two rows ${id}`);
    const peers = { ...(python !== "=" && { python }), ...(javascript !== "=" && { javascript }) };
    const always = (Object.keys(peers) as PeerName[]).filter((peer) => !peers[peer]!.startsWith("sometimes"));
    rows.push({ id: id!, calls: codes(calls!), places: codes(places!), reins: reins!, peers, always, reason });
  }
  return rows;
}

/** Whether the row speaks of this difference. */
export function covers(
  row: KnownDifference,
  found: { peer: PeerName; call: string; place: string; ours: unknown; theirs: unknown },
): boolean {
  return (
    row.calls.some((glob) => matchesGlob(found.call, glob)) &&
    row.places.some((glob) => matchesGlob(found.place, glob)) &&
    allows(row.reins, found.ours) &&
    allowsPeer(row, found.peer, found.theirs)
  );
}

/** Whether the row says that this peer may answer so. */
export function allowsPeer(row: KnownDifference, peer: PeerName, value: unknown): boolean {
  const cell = row.peers[peer];
  return cell !== undefined && allows(cell, value);
}

/** A cell without code allows every value; `*` in code stands for any text. */
function allows(cell: string, value: unknown): boolean {
  const allowed = codes(cell);
  const text = value === undefined ? "absent" : JSON.stringify(value);
  return allowed.length === 0 || allowed.some((code) => patternOf(code).test(text));
}

const patternOf = (code: string) =>
  new RegExp(`^${code.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`, "s");

/** A value for a line of a report: JSON or `absent`, and no more than eighty characters. */
export function show(value: unknown): string {
  const text = value === undefined ? "absent" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const codes = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code!.replaceAll("\\|", "|"));

const cells = (line: string): string[] =>
  line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
