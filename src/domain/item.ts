import type { Json } from "./run.ts";

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

/** What the domain asks of the storage. Items whose time is over are never answered. */
export interface ItemStore {
  /** Makes the item, or puts the value in the place of the former one. False when it came too late: then nothing was changed. */
  put(item: NewItem, limit?: WriteLimit): Promise<boolean>;
  /** Repeatable. False when it came too late, and the item is still there. */
  remove(name: ItemName, limit?: WriteLimit): Promise<boolean>;
  find(name: ItemName): Promise<Item | undefined>;
  /** The time of an item with a time to live begins anew. */
  prolong(item: Item, limit?: WriteLimit): Promise<void>;
  /** Items in the namespace and those below it, last changed first; `batch` is how many are likely to be wanted. */
  scan(owner: string, prefix: readonly string[], batch: number): AsyncIterable<Item>;
  /** Every namespace with the prefix that has items, once, those below it right after it. */
  namespaces(owner: string, prefix: readonly string[]): AsyncIterable<string[]>;
}

export type NewItem = Pick<Item, "owner" | "namespace" | "key" | "value" | "ttlMs">;
