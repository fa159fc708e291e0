import type { AppOptions } from "../../src/app.ts";
import type { NewItem } from "../../src/domain/item.ts";

/** Holds the next puts of items between the server and the database. */
export interface ItemHolder {
  readonly decorate: NonNullable<AppOptions["decorate"]>;
  /** From now on puts are held; resolves to the first one, with what lets it and all others go. */
  hold(): Promise<{ readonly item: NewItem; release(): void }>;
  /** Puts that the database has answered. */
  readonly landed: NewItem[];
}

export function createItemHolder(): ItemHolder {
  let holding: { came: (item: NewItem) => void; released: Promise<void> } | undefined;
  const landed: NewItem[] = [];
  return {
    landed,
    decorate: ({ stores, ...parts }) => ({
      ...parts,
      stores: {
        ...stores,
        items: {
          ...stores.items,
          async put(item, limit) {
            holding?.came(item);
            await holding?.released;
            const done = await stores.items.put(item, limit);
            if (done) landed.push(item);
            return done;
          },
        },
      },
    }),
    async hold() {
      const came = Promise.withResolvers<NewItem>();
      const released = Promise.withResolvers<void>();
      holding = { came: came.resolve, released: released.promise };
      const item = await came.promise;
      return {
        item,
        release() {
          holding = undefined;
          released.resolve();
        },
      };
    },
  };
}
