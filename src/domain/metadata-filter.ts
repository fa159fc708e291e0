/**
 * What somebody's sight is limited to, beside what that one asks for: all conditions on fields at the top of metadata must hold. Unlike a
 * filter of a search it compares plain values only, and lists by what they hold.
 */
export type MetadataFilter = readonly MetadataCondition[];

export type MetadataCondition =
  | { readonly field: string; readonly equals: string | number | boolean | null }
  /** The field is a list that holds all of these. */
  | { readonly field: string; readonly contains: readonly (string | number | boolean | null)[] };

type Fields = Readonly<Record<string, unknown>>;

export const matchesMetadata = (metadata: Fields, filter: MetadataFilter): boolean =>
  filter.every((condition) => {
    const value = Object.hasOwn(metadata, condition.field) ? metadata[condition.field] : undefined;
    if ("equals" in condition) return value === condition.equals;
    return Array.isArray(value) && condition.contains.every((one) => value.includes(one));
  });

/** What of it an index can tell: fields with their values, each on its own, since two may ask the same field for different ones. */
export const indexedPart = (filter: MetadataFilter = []): Fields[] =>
  filter.flatMap((condition) => ("equals" in condition ? [{ [condition.field]: condition.equals }] : []));

/** Whether an index tells all of it. */
export const isIndexed = (filter: MetadataFilter = []): boolean => filter.every((condition) => "equals" in condition);
