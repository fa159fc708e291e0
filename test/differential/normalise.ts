import type { Heard } from "./play.ts";

/** Answers without what must differ: ids become the names under which they were saved, times and versions placeholders. */
export interface Normal {
  readonly [place: string]: unknown;
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const hash = /\b[0-9a-f]{32}\b/g;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g;
/** Keys whose values are this server's own affair. */
const own = /version$|^host$|^at$|_ms__$|^n_|^(max|active|available)$|_secs$|_api_url$/;

export function normalise({ heard, names }: { heard: Heard; names: ReadonlyMap<string, string> }): Normal {
  const text = (value: string) =>
    value
      .replace(uuid, (id) => `<${names.get(id.toLowerCase()) ?? "id"}>`)
      .replace(hash, "<id>")
      .replace(time, "<time>");
  const clean = (value: unknown, key = ""): unknown => {
    if (own.test(key) && (typeof value === "string" || typeof value === "number")) return `<${key}>`;
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) return value.map((one) => clean(one));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [text(name), clean(one, name)]));
  };
  const { events, ...rest } = heard;
  return { ...(clean(rest) as object), ...(events && { events: normalEvents(events, clean, text) }) };
}

/**
 * Events by name and turn, so that one more of a kind does not shift all others; their order is compared on its own. The event
 * `end` is kept apart: only Reins has it.
 */
function normalEvents(
  events: NonNullable<Heard["events"]>,
  clean: (value: unknown) => unknown,
  text: (value: string) => string,
): object {
  const byName: Record<string, unknown[]> = {};
  for (const { name, data } of events) {
    let value: unknown = data;
    try {
      value = JSON.parse(data);
    } catch {
      // Not JSON: compared as text.
    }
    byName[text(name)] = [...(byName[text(name)] ?? []), clean(value)];
  }
  const others = events.filter(({ name }) => name !== "end");
  const withId = events.filter(({ id }) => id !== undefined).length;
  return {
    ...byName,
    order: others.map(({ name }) => text(name)).join(" "),
    ids: withId === 0 ? "none" : withId === events.length ? "all" : "some",
  };
}

export interface Difference {
  /** As `body/thread_id`; a list's places are numbers. */
  readonly place: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

/** In what two answers differ, each at the innermost place; what is absent on one side is undefined there. */
export function differences(ours: unknown, theirs: unknown, place = ""): Difference[] {
  if (isObject(ours) && isObject(theirs) && Array.isArray(ours) === Array.isArray(theirs)) {
    const keys = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
    return keys.flatMap((key) => differences(ours[key], theirs[key], place === "" ? key : `${place}/${key}`));
  }
  return Object.is(ours, theirs) ? [] : [{ place, ours, theirs }];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
