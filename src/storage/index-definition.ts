import type { IndexDescription } from "mongodb";

export interface IndexDefinition {
  readonly collection: string;
  readonly name: string;
  readonly key: Readonly<Record<string, 1 | -1>>;
  /** The query that it is there for. */
  readonly serves: string;
  readonly options?: IndexOptions;
}

type IndexOptions = Pick<IndexDescription, "expireAfterSeconds" | "partialFilterExpression">;

/** Defines the indexes of one collection. */
export const indexesOf =
  (collection: string) =>
  (name: string, key: IndexDefinition["key"], serves: string, options?: IndexOptions): IndexDefinition => ({
    collection,
    name,
    key,
    serves,
    options,
  });
