import type { ByRole } from "./target.ts";
import { roles, total } from "./target.ts";

/** One line of the table. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What it should be: at most so much, or at least. */
  readonly goal?: { readonly most: number } | { readonly least: number };
}

const numbers = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** Markdown. */
export function tableOf(figures: readonly Figure[]): string {
  const lines = figures.map(({ what, value, unit, goal }) => {
    const wanted = goal === undefined ? "" : "most" in goal ? `≤ ${goal.most}` : `≥ ${goal.least}`;
    return `| ${what} | ${numbers.format(value)} ${unit} | ${wanted} |`;
  });
  return ["| | measured | goal |", "|---|---|---|", ...lines].join("\n");
}

/** One line for the sum, and one for each kind of process. */
export function split(what: string, unit: string, cost: ByRole, times: number): Figure[] {
  const figures = roles.map((role) => ({ what: `… ${role}`, value: cost[role] / times, unit }));
  return [{ what, value: total(cost) / times, unit }, ...figures];
}
