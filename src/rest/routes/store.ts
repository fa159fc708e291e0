import { z } from "zod";
import type { Identity } from "../../access/identity.ts";
import type { Item } from "../../domain/item.ts";
import type { Items } from "../../domain/items.ts";
import { isAnotherSite } from "../../server/admit.ts";
import { RestError } from "../errors.ts";
import { jsonObject, optional } from "../json/body-shapes.ts";
import { RawJson, stringify } from "../json/raw-json.ts";
import { dateText } from "../json/time.ts";
import { flagParameter, json, type Route, route, textParameter } from "../route.ts";

const labels = z.array(z.string());
const name = { namespace: labels, key: z.string() };
const page = { limit: optional(z.int().min(0)), offset: optional(z.int().min(0)) };

const putBody = z.object({
  ...name,
  value: jsonObject,
  /** Nothing is found by its meaning, so nothing is indexed for that. */
  index: optional(z.union([z.literal(false), labels])),
  /** Minutes. */
  ttl: optional(z.number().positive()),
});
const searchBody = z.object({
  namespace_prefix: optional(labels),
  filter: optional(jsonObject),
  ...page,
  /** As with LangGraph's stores that have no embeddings, it ranks nothing. */
  query: optional(z.string()),
  refresh_ttl: optional(z.boolean()),
});
const namespacesBody = z.object({
  prefix: optional(labels),
  suffix: optional(labels),
  max_depth: optional(z.int().min(1)),
  ...page,
});

const minuteMs = 60_000;

const itemJson = ({ namespace, key, value, createdAt, updatedAt }: Item) => ({
  namespace,
  key,
  value: new RawJson(value),
  created_at: dateText(createdAt),
  updated_at: dateText(updatedAt),
});

/** Long-term memory as somebody may see it. */
export type ItemsOf = (identity: Identity) => Pick<Items, "put" | "get" | "remove" | "search" | "namespaces">;

/** Routes of the long-term memory. There is no RPC for it: they call the domain. */
export function storeRoutes(itemsOf: ItemsOf): Route[] {
  return [
    route({
      method: "PUT",
      path: "/store/items",
      is: "Keeps an item in long-term memory, or replaces it; `ttl` is in minutes.",
      body: putBody,
      payloads: ["value"],
      async handle({ identity, body: { namespace, key, value, ttl } }) {
        const { owner } = identity;
        const ttlMs = ttl === undefined ? undefined : ttl * minuteMs;
        await itemsOf(identity).put({ owner, namespace, key, value: stringify(value), ttlMs });
        return { kind: "empty", status: 204 };
      },
    }),
    route({
      method: "GET",
      path: "/store/items",
      is: "Reads an item of long-term memory; null when there is none.",
      query: {
        namespace: textParameter("the labels, joined by dots", true),
        key: textParameter("the item's key", true),
        refresh_ttl: flagParameter("whether its time to live begins anew; it does by default"),
      },
      async handle({ identity, query, header }) {
        const needed = (parameter: string): string => {
          const text = query.text(parameter);
          if (text === undefined) throw new RestError(422, `Query parameter ${parameter} is missing`);
          return text;
        };
        // A page of another site may look, as with every GET, and change nothing by it.
        const refreshTtl = isAnotherSite(header("sec-fetch-site")) ? false : query.boolean("refresh_ttl");
        const item = { owner: identity.owner, namespace: needed("namespace").split("."), key: needed("key") };
        const found = await itemsOf(identity).get(item, { refreshTtl });
        return json(found ? itemJson(found) : null);
      },
    }),
    route({
      method: "DELETE",
      path: "/store/items",
      is: "Removes an item from long-term memory, if it is there.",
      body: z.object(name),
      deletes: ({ namespace, key }) => `item ${JSON.stringify([...namespace, key])}`,
      async handle({ identity, body }) {
        await itemsOf(identity).remove({ owner: identity.owner, ...body });
        return { kind: "empty", status: 204 };
      },
    }),
    route({
      method: "POST",
      path: "/store/items/search",
      is: "Finds items in a namespace and below it, last changed first.",
      body: searchBody,
      async handle({
        identity,
        body: { namespace_prefix: namespacePrefix = [], refresh_ttl: refreshTtl, query: _, ...search },
      }) {
        const found = await itemsOf(identity).search(identity.owner, { namespacePrefix, refreshTtl, ...search });
        return json({ items: found.map((item) => ({ ...itemJson(item), score: null })) });
      },
    }),
    route({
      method: "POST",
      path: "/store/namespaces",
      is: "Lists the namespaces that have items.",
      body: namespacesBody,
      async handle({ identity, body: { prefix, suffix, max_depth: maxDepth, ...rest } }) {
        const match = [
          ...(prefix ? [{ at: "prefix", labels: prefix } as const] : []),
          ...(suffix ? [{ at: "suffix", labels: suffix } as const] : []),
        ];
        return json({ namespaces: await itemsOf(identity).namespaces(identity.owner, { match, maxDepth, ...rest }) });
      },
    }),
  ];
}
