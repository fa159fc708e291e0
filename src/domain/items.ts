import { checkKey, checkNamespace, checkNewItem, wholeNumber } from "./check-item.ts";
import { invalid } from "./check-metadata.ts";
import type { Item, ItemName, NewItem, WriteLimit } from "./item.ts";
import { createItemFilter } from "./item-filter.ts";
import type { ItemStore } from "./ports.ts";

/** One answer is held in memory, and travels as one message. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * Long-term memory, for graphs and for clients. No run owns an item: a rollback, or the deletion of a run or thread, leaves all
 * of them. Each call throws INVALID_FIELD for what cannot be, with LangGraph's rules for namespaces.
 */
export interface Items {
  /** Makes the item or replaces it, its time to live included. False, and no change, when the limit was over. */
  put(item: NewItem, limit?: WriteLimit): Promise<boolean>;
  /** Nothing happens when there is none. False, and no change, when the limit was over. */
  remove(name: ItemName, limit?: WriteLimit): Promise<boolean>;
  get(name: ItemName, options?: ReadOptions): Promise<Item | undefined>;
  search(owner: string, search: ItemSearch): Promise<Item[]>;
  namespaces(owner: string, query: NamespaceQuery): Promise<string[][]>;
}

/** A read prolongs the time of items that have one. */
export interface ReadOptions {
  /** Default true. */
  readonly refreshTtl?: boolean;
  /** Of that, since it is a write. */
  readonly write?: WriteLimit;
}

/** In the order of their last change, newest first. There is no index of meanings, so nothing is ranked by a query in words. */
export interface ItemSearch extends ReadOptions {
  /** That namespace and all below it; every one when it is empty. */
  readonly namespacePrefix: readonly string[];
  /** See {@link createItemFilter}. */
  readonly filter?: Readonly<Record<string, unknown>>;
  /** Whether the caller may see an item; all where it is absent. */
  readonly inSight?: (item: Item) => boolean;
  /** Default 10. */
  readonly limit?: number;
  readonly offset?: number;
}

export interface NamespaceQuery {
  /** All must match. */
  readonly match?: readonly NamespaceMatch[];
  /** Whether the caller may see a namespace; all where it is absent. */
  readonly inSight?: (namespace: readonly string[]) => boolean;
  /** Longer namespaces are cut to so many labels, and named once. */
  readonly maxDepth?: number;
  /** Default 100. */
  readonly limit?: number;
  readonly offset?: number;
}

export interface NamespaceMatch {
  readonly at: "prefix" | "suffix";
  /** "*" matches any label. */
  readonly labels: readonly string[];
}

export interface ItemsOptions {
  readonly maxItemBytes: number;
}

export function createItems(store: ItemStore, { maxItemBytes }: ItemsOptions): Items {
  function checkName({ namespace, key }: ItemName): void {
    checkNamespace(namespace, "namespace", 1);
    checkKey(key);
  }

  return {
    async put(item, limit) {
      checkNewItem(item, maxItemBytes);
      return store.put(item, limit);
    },

    async remove(name, limit) {
      checkName(name);
      return store.remove(name, limit);
    },

    async get(name, options) {
      checkName(name);
      const item = await store.find(name);
      if (item) await prolong([item], options);
      return item;
    },

    async search(owner, search) {
      checkNamespace(search.namespacePrefix, "namespace_prefix", 0);
      const limit = wholeNumber(search.limit, "limit", 0, 10);
      const offset = wholeNumber(search.offset, "offset", 0, 0);
      const matches = createItemFilter(search.filter);
      const found: Item[] = [];
      if (limit === 0) return found;
      let [passed, bytes] = [0, 0];
      for await (const item of store.scan(owner, search.namespacePrefix, limit + offset)) {
        if (search.filter !== undefined && !matches(JSON.parse(item.value))) continue;
        if (search.inSight?.(item) === false) continue;
        if (passed++ < offset) continue;
        bytes += item.value.length;
        if (bytes > maxAnswerBytes) throw tooMany(found.length);
        found.push(item);
        if (found.length === limit) break;
      }
      await prolong(found, search);
      return found;
    },

    async namespaces(owner, { match = [], ...query }) {
      for (const { at, labels } of match) checkNamespace(labels, at, 0);
      const maxDepth = wholeNumber(query.maxDepth, "max_depth", 1, Number.MAX_SAFE_INTEGER);
      const limit = wholeNumber(query.limit, "limit", 0, 100);
      const offset = wholeNumber(query.offset, "offset", 0, 0);
      const found: string[][] = [];
      if (limit === 0) return found;
      let passed = 0;
      let last: string | undefined;
      for await (const namespace of store.namespaces(owner, literalHead(match))) {
        if (!match.every((one) => isMatch(namespace, one)) || query.inSight?.(namespace) === false) continue;
        const cut = namespace.slice(0, maxDepth);
        // Namespaces come in order, so that those which are cut to the same labels follow each other.
        const name = cut.join(".");
        if (name === last) continue;
        last = name;
        if (passed++ < offset) continue;
        found.push(cut);
        if (found.length === limit) break;
      }
      return found;
    },
  };

  async function prolong(found: readonly Item[], { refreshTtl = true, write }: ReadOptions = {}): Promise<void> {
    const mortal = refreshTtl ? found.filter(({ ttlMs }) => ttlMs !== undefined) : [];
    await Promise.all(mortal.map((item) => store.prolong(item, write)));
  }
}

function isMatch(namespace: readonly string[], { at, labels }: NamespaceMatch): boolean {
  const from = at === "prefix" ? 0 : namespace.length - labels.length;
  if (from < 0) return false;
  return labels.every((label, n) => label === "*" || label === namespace[from + n]);
}

/** The labels that all namespaces that match begin with. */
function literalHead(match: readonly NamespaceMatch[]): readonly string[] {
  const heads = match.filter(({ at }) => at === "prefix").map(({ labels }) => labels);
  const literal = heads.map((labels) => labels.slice(0, [...labels, "*"].indexOf("*")));
  return literal.toSorted((a, b) => b.length - a.length)[0] ?? [];
}

const tooMany = (fit: number) =>
  invalid(
    "limit",
    `the items found have more than ${maxAnswerBytes} bytes together; the first ${fit} fit in one answer`,
  );
