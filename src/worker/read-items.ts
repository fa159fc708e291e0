import { FencedError } from "../checkpoints/journal-port.ts";
import type { Item } from "../domain/item.ts";
import type { Items, ReadOptions } from "../domain/items.ts";
import type { ItemAnswer, ItemOperation, ItemReport, ItemsPort } from "./protocol.ts";

export type ItemWrite = Extract<ItemOperation, { kind: "put" | "delete" }>;
export type ItemRead = Exclude<ItemOperation, ItemWrite>;

/** Long-term memory for code that executes no run: whatever would change it is refused. */
export function readOnlyItems(items: Items, owner: string): ItemsPort {
  return {
    async batch(operations) {
      if (operations.some(isWrite)) throw new FencedError("Long-term memory is changed by runs only, not by an edit");
      const reads = operations as readonly ItemRead[];
      return Promise.all(reads.map((one) => readItems(items, owner, one, { refreshTtl: false })));
    },
  };
}

/** What a read answers. */
export async function readItems(
  items: Items,
  owner: string,
  operation: ItemRead,
  how: ReadOptions,
): Promise<ItemAnswer> {
  switch (operation.kind) {
    case "get": {
      const found = await items.get({ owner, namespace: operation.namespace, key: operation.key }, how);
      return found ? toReport(found) : null;
    }
    case "search": {
      const { namespacePrefix, filter, limit, offset } = operation;
      const wanted = filter === undefined ? {} : { filter: JSON.parse(filter) };
      return (await items.search(owner, { namespacePrefix, ...wanted, limit, offset, ...how })).map(toReport);
    }
    case "namespaces":
      return items.namespaces(owner, operation);
  }
}

export const isWrite = (operation: ItemOperation): operation is ItemWrite =>
  operation.kind === "put" || operation.kind === "delete";

const toReport = ({ namespace, key, value, createdAt, updatedAt }: Item): ItemReport => ({
  namespace,
  key,
  value,
  createdAt,
  updatedAt,
});
