/** The lines of the table, by their keys; one that was not measured is absent. */
export type Figures = Partial<Record<Line, number>>;

type Way = "own" | "other" | "more";
export type Line =
  | `${"cancel" | "follow" | "wait"} ${Way} ${"p50" | "p99"}`
  | `${"take-over" | "crowded"} ${"p50" | "most"}`
  | `idle ${"own" | "driver"}`;

interface Row {
  readonly line: Line;
  readonly is: string;
  /** At most. */
  readonly goal?: number;
}

const rows = (leaseMs: number): readonly Row[] => [
  { line: "cancel own p50", is: "cancel through the server that executes the run, until it is over, p50 ms" },
  { line: "cancel own p99", is: "… p99 ms" },
  { line: "cancel other p50", is: "cancel through another server, p50 ms" },
  { line: "cancel other p99", is: "… p99 ms" },
  { line: "cancel more p50", is: "… more than through its own, p50 ms", goal: 50 },
  { line: "cancel more p99", is: "… p99 ms", goal: 300 },
  { line: "follow own p50", is: "an event is read at the server that executes the run, p50 ms after it was written" },
  { line: "follow own p99", is: "… p99 ms" },
  { line: "follow other p50", is: "… at another server, p50 ms" },
  { line: "follow other p99", is: "… p99 ms", goal: 100 },
  { line: "wait own p50", is: "who waits is told of an end by the server that executed the run, p50 ms after it" },
  { line: "wait own p99", is: "… p99 ms" },
  { line: "wait other p50", is: "… by another server, p50 ms" },
  { line: "wait other p99", is: "… p99 ms", goal: 100 },
  { line: "take-over p50", is: "a killed server's run executes elsewhere, p50 ms after the kill" },
  { line: "take-over most", is: "… at most, ms", goal: leaseMs + 1_000 },
  { line: "crowded p50", is: "… beside a backlog of 2,000 busy threads, p50 ms" },
  { line: "crowded most", is: "… at most, ms", goal: leaseMs + 1_000 },
  { line: "idle own", is: "commands a second of a server at rest", goal: 3 },
  { line: "idle driver", is: "… and of its driver's monitors" },
];

/** Markdown. */
export function tableOf(columns: readonly { servers: number; figures: Figures }[], leaseMs: number): string {
  const head = ["", ...columns.map(({ servers }) => `${servers} servers`), "goal", "reached"];
  const lines = rows(leaseMs).map(({ line, is, goal }) => {
    const values = columns.map(({ figures }) => figures[line]);
    const known = values.filter((value) => value !== undefined);
    const reached =
      goal === undefined || known.length === 0 ? "" : known.every((value) => value <= goal) ? "yes" : "no";
    return [is, ...values.map(show), goal === undefined ? "" : `at most ${goal.toLocaleString("en")}`, reached];
  });
  const rule = head.map((_, i) => (i === 0 || i > columns.length ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function show(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value === Infinity) return "never";
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value < 10 ? 2 : 1);
}
