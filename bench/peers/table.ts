import type { Line, Measured } from "./measure-server.ts";

/** One column: a server in its best configuration for each line. */
export interface Column {
  readonly title: string;
  readonly measured: Measured;
}

interface Row {
  readonly line: Line;
  readonly is: string;
  readonly better: "less" | "more";
  readonly goal?: Goal;
}

interface Goal {
  readonly says: string;
  /** Given what Reins reaches and what the better of the others does. */
  readonly isReached: (reins: number, best: number) => boolean;
}

const part = (divisor: number): Goal => ({
  says: `at most 1/${divisor}`,
  isReached: (reins, best) => reins <= best / divisor,
});
const times = (factor: number): Goal => ({
  says: `at least ${factor} ×`,
  isReached: (reins, best) => reins >= factor * best,
});
const ahead: Goal = { says: "ahead", isReached: (reins, best) => reins < best };
const only: Goal = { says: "Reins alone", isReached: (reins, best) => reins < Infinity && best === Infinity };
const notBehind: Goal = { says: "at or below", isReached: (reins, best) => reins <= best };

const rows: readonly Row[] = [
  { line: "create p50", is: "create → success, one at a time, p50 ms", better: "less", goal: part(20) },
  { line: "create p99", is: "… p99 ms", better: "less" },
  { line: "create sync p50", is: "… p50 ms with durability `sync`, Reins' default", better: "less" },
  { line: "runs/s", is: "16 clients, runs/s", better: "more", goal: times(3) },
  { line: "first p50", is: "first event of a stream, p50 ms", better: "less", goal: part(3) },
  { line: "first p99", is: "… p99 ms", better: "less" },
  { line: "cancel polite answered", is: "cancel and wait, node that listens: answered, ms", better: "less" },
  { line: "cancel polite stopped", is: "… really stopped, ms", better: "less", goal: ahead },
  { line: "cancel deaf answered", is: "cancel and wait, node that does not listen: answered, ms", better: "less" },
  { line: "cancel deaf stopped", is: "… really stopped, ms", better: "less", goal: ahead },
  { line: "cancel busy answered", is: "cancel and wait, node that computes: answered, ms", better: "less" },
  { line: "cancel busy stopped", is: "… really stopped, ms", better: "less", goal: only },
  { line: "leave polite stopped", is: "client leaves → really stopped, ms", better: "less" },
  { line: "long events/s", is: "one stream of 5,000 events, events/s", better: "more", goal: times(5) },
  { line: "many events/s", is: "100 streams of 50 events, events/s", better: "more", goal: times(5) },
  { line: "lag p50", is: "100 streams of 20 events/s, delivery lag, p50 ms", better: "less" },
  { line: "lag p99", is: "… p99 ms", better: "less", goal: notBehind },
  { line: "memory at rest", is: "memory at rest, all processes, MB", better: "less" },
  { line: "memory at peak", is: "… at peak", better: "less" },
];

/** The best that a server's configurations reach, line by line. */
export function bestOf(all: readonly Measured[]): Measured {
  const best: Measured = {};
  for (const { line, better } of rows) {
    const values = all.flatMap((one) => one[line] ?? []);
    // What a server needs is the most that any of its configurations needed.
    const pick = line.startsWith("memory") || better === "more" ? Math.max : Math.min;
    if (values.length > 0) best[line] = pick(...values);
  }
  return best;
}

function show(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === Infinity) return "never";
  if (value < 1) return "< 1";
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 10 ? 1 : 2);
}

/** Markdown; the first column is Reins with its goals, `others` are the official servers. */
export function tableOf(reins: Column, second: readonly Column[], others: readonly Column[]): string {
  const columns = [reins, ...second, ...others];
  const head = ["", ...columns.map(({ title }) => title), "Reins : better other", "goal", "reached"];
  const lines = rows.map(({ line, is, better, goal }) => {
    const mine = reins.measured[line];
    const theirs = bestOf(others.map((one) => one.measured))[line];
    const known = mine !== undefined && theirs !== undefined;
    const ratio = !known ? "" : theirs === Infinity || mine === Infinity ? "" : ratioOf(mine, theirs, better);
    const reached = known && goal ? (goal.isReached(mine, theirs) ? "yes" : "no") : "";
    return [is, ...columns.map(({ measured }) => show(measured[line])), ratio, goal?.says ?? "", reached];
  });
  const rule = head.map((_, i) => (i === 0 || i > columns.length + 1 ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function ratioOf(mine: number, theirs: number, better: Row["better"]): string {
  if (better === "more") return `${(mine / theirs).toFixed(1)} ×`;
  // Milliseconds below one are not told apart.
  return mine > theirs
    ? `${(mine / Math.max(theirs, 1)).toFixed(1)} ×`
    : `1/${(theirs / Math.max(mine, 1)).toFixed(1)}`;
}
