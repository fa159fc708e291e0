import { rawFields, stringify } from "./json/raw-json.ts";
import { select } from "./pages.ts";

/** Of a state as `stateJson` makes it. */
const stateFields = [
  ...["values", "next", "tasks", "metadata", "created_at", "checkpoint", "parent_checkpoint", "interrupts"],
  ...["checkpoint_id", "parent_checkpoint_id"],
];

/** One of the values, by its name. */
const oneValue = /^values\.([A-Za-z0-9_-]+)$/;

export interface StateSelection {
  /** No values will be shown, so that they need not be read. */
  readonly omitValues: boolean;
  of(state: Readonly<Record<string, unknown>>): object;
}

/** What of a state is wanted: fields, and with `values.<name>` some of the values; all when nothing is named. Throws 422. */
export function selectState(wanted: readonly string[] = []): StateSelection {
  const names = wanted.flatMap((one) => oneValue.exec(one)?.[1] ?? []);
  const fields = wanted.filter((one) => !oneValue.test(one));
  select(fields, stateFields, []);
  if (wanted.length === 0) return { omitValues: false, of: (state) => state };
  const someValues = names.length > 0 && !fields.includes("values");
  return {
    // Tasks may show the values of their subgraphs.
    omitValues: names.length === 0 && !fields.includes("values") && !fields.includes("tasks"),
    of(state) {
      const shown = Object.entries(state).filter(([name]) => fields.includes(name));
      return Object.fromEntries(someValues ? [["values", valuesNamed(names, state.values)], ...shown] : shown);
    },
  };
}

function valuesNamed(names: readonly string[], values: unknown): object {
  return Object.fromEntries(rawFields(stringify(values ?? null)).filter(([name]) => names.includes(name)));
}
