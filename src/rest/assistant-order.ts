import { z } from "zod";
import { RestError } from "./errors.ts";
import type { assistantJson } from "./json/assistant.ts";
import { optional } from "./json/body-shapes.ts";

/** The fields of a search that say in which order it answers. */
export const assistantOrder = {
  sort_by: optional(z.enum(["assistant_id", "graph_id", "name", "created_at", "updated_at"])),
  sort_order: optional(z.enum(["asc", "desc"])),
};

interface Page {
  readonly limit: number;
  readonly offset: number;
}

interface Found {
  readonly items: ReturnType<typeof assistantJson>[];
  /** There are others behind them. */
  readonly more: boolean;
}

/** How many can be put into an order: the handlers know one only, so that all that match are read for another. */
const most = 1000;

/** A page in the order that is asked for; without one in that of `find`. Throws 422 where too many match. */
export async function inOrder(
  { sort_by: field, sort_order: direction }: z.infer<z.ZodObject<typeof assistantOrder>>,
  page: Page,
  find: (page: Page) => Promise<Found>,
): Promise<Found> {
  if (field === undefined && direction === undefined) return find(page);
  const { items, more } = await find({ limit: most, offset: 0 });
  if (more) throw new RestError(422, `sort_by: more than ${most} assistants match; narrow the search`);
  const by = field ?? "created_at";
  const sign = direction === "asc" ? 1 : -1;
  items.sort((a, b) => sign * compare(a[by], b[by]) || compare(a.assistant_id, b.assistant_id));
  const end = page.offset + page.limit;
  return { items: items.slice(page.offset, end), more: items.length > end };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
