import { isDeepStrictEqual } from "node:util";
import type { Assistant, AssistantFilter, AssistantName, AssistantPosition } from "./assistant.ts";
import { checkMetadata } from "./check-metadata.ts";
import type { GraphAssistants } from "./graph-assistants.ts";
import { isObject } from "./is-object.ts";
import { matchesMetadata } from "./metadata-filter.ts";
import { assistantNotFound } from "./not-found.ts";
import { type PagePosition, pageToken, readPageToken } from "./page-token.ts";
import type { AssistantStore } from "./ports.ts";
import { answerBytes } from "./read-page.ts";

export interface ReadAssistantsParts<Drawing, Schemas> {
  readonly graphAssistants: GraphAssistants;
  readonly assistants: AssistantStore;
  /** Both throw GRAPH_UNAVAILABLE when the graph's code cannot answer. */
  readonly draw: (assistant: Assistant, subgraphDepth: number) => Promise<Drawing>;
  readonly schemas: (assistant: Assistant) => Promise<Schemas>;
}

export interface ReadAssistants<Drawing, Schemas> {
  /** By id, or by a graph's name for the graph's own. Throws ASSISTANT_NOT_FOUND, as the others do. */
  get(name: AssistantName): Promise<Assistant>;
  /** The graphs' own first, by name, then configured ones, newest first. */
  search(filter: AssistantFilter, page: { size: number; token: string }): Promise<AssistantPage>;
  count(filter: AssistantFilter): Promise<number>;
  graph(name: AssistantName, subgraphDepth: number): Promise<Drawing>;
  schemas(name: AssistantName): Promise<Schemas>;
}

interface AssistantPage {
  readonly assistants: readonly Assistant[];
  readonly nextPageToken: string;
}

const defaultPageSize = 20;

export function createReadAssistants<Drawing, Schemas>(
  parts: ReadAssistantsParts<Drawing, Schemas>,
): ReadAssistants<Drawing, Schemas> {
  const { graphAssistants, assistants } = parts;

  async function get({ owner, assistantId }: AssistantName): Promise<Assistant> {
    const found =
      graphAssistants.find(assistantId, owner) ??
      (await assistants.find({ owner, assistantId: assistantId.toLowerCase() }));
    if (!found) throw assistantNotFound(assistantId);
    return found;
  }

  /** One whose graph can be used. */
  async function usable(name: AssistantName): Promise<Assistant> {
    const assistant = await get(name);
    graphAssistants.checkUsable(assistant);
    return assistant;
  }

  /** All that match, from after the end of a page on. */
  async function* matching(filter: AssistantFilter, after?: PageEnd): AsyncGenerator<Assistant> {
    if (after === undefined || "graph" in after) {
      for (const one of graphAssistants.all(filter.owner)) {
        if ((after === undefined || one.graph > after.graph) && matches(one, filter)) yield one;
      }
    }
    const position = after !== undefined && "graph" in after ? undefined : after;
    for await (const one of assistants.scan(filter, position)) if (matches(one, filter)) yield one;
  }

  return {
    get,

    async search(filter, { size, token }) {
      checkMetadata(filter.metadata ?? {}, "filter.metadata");
      const after = pageEndOf(readPageToken(token, filter, "number", "string"));
      const page: Assistant[] = [];
      let bytes = 0;
      for await (const one of matching(filter, after)) {
        const last = page.at(-1);
        bytes += sizeOf(one);
        if (last && (page.length === (size || defaultPageSize) || bytes > answerBytes)) {
          return { assistants: page, nextPageToken: pageToken(positionOf(last), filter) };
        }
        page.push(one);
      }
      return { assistants: page, nextPageToken: "" };
    },

    async count(filter) {
      checkMetadata(filter.metadata ?? {}, "filter.metadata");
      let count = 0;
      for await (const _ of matching(filter)) count += 1;
      return count;
    },

    graph: async (name, subgraphDepth) => parts.draw(await usable(name), subgraphDepth),
    schemas: async (name) => parts.schemas(await usable(name)),
  };
}

/** Where a page ended: among the graphs' own assistants, which come first, or among the configured ones. */
type PageEnd = { readonly graph: string } | AssistantPosition;

const positionOf = ({ graph, createdAt, assistantId }: Assistant): PagePosition =>
  createdAt === undefined ? [graph, assistantId] : [createdAt.getTime(), assistantId];

function pageEndOf(position: PagePosition | undefined): PageEnd | undefined {
  if (!position) return undefined;
  const [at, assistantId] = position;
  return typeof at === "string" ? { graph: at } : { createdAt: new Date(at), assistantId };
}

const sizeOf = ({ description, config, context, metadata }: Assistant): number =>
  JSON.stringify({ description, config, context, metadata }).length;

function matches(assistant: Assistant, { graph, name, metadata, within, withGraphs }: AssistantFilter): boolean {
  if (within && !(withGraphs && assistant.system) && !matchesMetadata(assistant.metadata, within)) return false;
  if (graph !== undefined && assistant.graph !== graph) return false;
  if (name !== undefined && !assistant.name.toLowerCase().includes(name.toLowerCase())) return false;
  return metadata === undefined || holds(assistant.metadata, metadata);
}

/** Whether a value is the wanted one; an object is when it has at least the wanted fields. */
function holds(value: unknown, wanted: unknown): boolean {
  if (!isObject(wanted)) return isDeepStrictEqual(value, wanted);
  if (!isObject(value)) return false;
  return Object.entries(wanted).every(([field, inner]) => Object.hasOwn(value, field) && holds(value[field], inner));
}
