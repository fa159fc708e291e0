import type { Json } from "./run/run.ts";

/** Long-term memory: what graphs and clients keep beyond threads. LangGraph calls it the store; what is in it are items. */
export interface ItemName {
  readonly owner: string;
  /** Labels, from the outermost to the innermost. */
  readonly namespace: readonly string[];
  /** Unique in its namespace. */
  readonly key: string;
}

export interface Item extends ItemName {
  /** Of an object. */
  readonly value: Json;
  readonly createdAt: Date;
  /** When its value was last put. */
  readonly updatedAt: Date;
  /** How long it is kept after it was last put or read; undefined: for ever. */
  readonly ttlMs?: number;
}

/**
 * What a write of a run carries, so that it cannot land late: by the database's own clock it begins before that time or never,
 * and it takes no longer than so much.
 */
export interface WriteLimit {
  readonly by: Date;
  readonly limitMs: number;
}

export type NewItem = Pick<Item, "owner" | "namespace" | "key" | "value" | "ttlMs">;
