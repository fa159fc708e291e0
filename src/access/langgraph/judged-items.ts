import { DomainError } from "../../domain/errors.ts";
import type { Item } from "../../domain/item.ts";
import type { Items, NamespaceMatch } from "../../domain/items.ts";
import { type MetadataFilter, matchesMetadata } from "../../domain/metadata-filter.ts";
import type { AuthUser } from "../identity.ts";
import type { AuthFile } from "./auth-file.ts";
import type { AuthEvent } from "./events.ts";
import type { AuthQuestion } from "./messages.ts";
import { failed } from "./refusal-of.ts";

/** Long-term memory as an auth file lets its user see it. A handler may change the namespace, and of what is put the key and the value. */
export function judgedItems(items: Items, file: Pick<AuthFile, "rule">, user: AuthUser): Items {
  const rule = (event: AuthEvent, asked: Pick<AuthQuestion, "value" | "texts">) => file.rule({ event, user, ...asked });

  return {
    async put({ value, ...item }, limit) {
      const { namespace, key } = item;
      const ruling = await rule("store:put", { value: { namespace, key }, texts: { value } });
      const { within } = ruling;
      const { value: changed = value } = ruling.texts;
      const put = { ...item, ...nameIn(ruling.value), value: changed };
      if (within.length > 0) {
        const there = await items.get(put, { refreshTtl: false });
        if (there && !isWithin(there, within)) throw new DomainError("NOT_FOUND", "Item not found");
        if (!isWithin(put, within)) throw new DomainError("PERMISSION_DENIED", "Not authorized");
      }
      return items.put(put, limit);
    },

    async remove(item, limit) {
      const { namespace, key, owner } = item;
      const { value, within } = await rule("store:delete", { value: { namespace, key } });
      const name = { owner, ...nameIn(value) };
      if (within.length > 0) {
        const there = await items.get(name, { refreshTtl: false });
        // As if there were none.
        if (!there || !isWithin(there, within)) return true;
      }
      return items.remove(name, limit);
    },

    async get({ owner, namespace, key }, options) {
      const { value, within } = await rule("store:get", { value: { namespace, key } });
      const name = { owner, ...nameIn(value) };
      if (within.length === 0) return items.get(name, options);
      const there = await items.get(name, { refreshTtl: false });
      return there && isWithin(there, within) ? items.get(name, options) : undefined;
    },

    async search(owner, { namespacePrefix, ...search }) {
      const { filter, limit, offset } = search;
      const asked = { namespace: namespacePrefix, filter, limit, offset, query: undefined };
      const { value, within } = await rule("store:search", { value: asked });
      const inSight = within.length > 0 ? (item: Item) => isWithin(item, within) : undefined;
      return items.search(owner, { ...search, namespacePrefix: labelsIn(value.namespace ?? []), inSight });
    },

    async namespaces(owner, { match = [], ...query }) {
      const [prefix, suffix] = (["prefix", "suffix"] as const).map((at) => match.find((one) => one.at === at)?.labels);
      const { maxDepth: max_depth, limit, offset } = query;
      const asked = { namespace: prefix, suffix, max_depth, limit, offset };
      const { value, within } = await rule("store:list_namespaces", { value: asked });
      const inSight = (namespace: readonly string[]) => matchesMetadata({ namespace }, within);
      const others = match.filter(({ at }) => at !== "prefix");
      const { namespace } = value;
      const own: NamespaceMatch[] =
        namespace === undefined || namespace === null ? [] : [{ at: "prefix", labels: labelsIn(namespace) }];
      return items.namespaces(owner, { ...query, match: [...own, ...others], inSight });
    },
  };
}

/** An item's filter is about the fields of its value, its namespace and its key, as LangGraph's server has it. */
const isWithin = ({ value, namespace, key }: Pick<Item, "value" | "namespace" | "key">, within: MetadataFilter) =>
  matchesMetadata({ ...(JSON.parse(value) as object), namespace, key }, within);

function nameIn({ namespace, key }: Readonly<Record<string, unknown>>): Pick<Item, "namespace" | "key"> {
  if (typeof key !== "string") throw failed("a handler left a key that is no text");
  return { namespace: labelsIn(namespace), key };
}

function labelsIn(namespace: unknown): readonly string[] {
  if (Array.isArray(namespace) && namespace.every((label) => typeof label === "string")) return namespace;
  throw failed("a handler left a namespace that is no list of texts");
}
