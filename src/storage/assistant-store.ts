import type { Filter } from "mongodb";
import type { AssistantName, StoredAssistant } from "../domain/assistant.ts";
import type { AssistantStore } from "../domain/ports.ts";
import type { Collections } from "./collections.ts";
import type { AssistantDocument } from "./documents.ts";
import { insertIfFree } from "./insert-each.ts";
import { key } from "./keys.ts";

const assistantKey = (name: AssistantName): string => key(name.owner, name.assistantId);

/** Configured assistants in MongoDB. Those by name walk `_id`. */
export function createAssistantStore({ assistants }: Pick<Collections, "assistants">): AssistantStore {
  return {
    insert(assistant) {
      const { owner, assistantId, createdAt } = assistant;
      return insertIfFree(assistants, {
        _id: assistantKey(assistant),
        owner,
        assistant_id: assistantId,
        ...whatChanges(assistant),
        created_at: createdAt,
      });
    },

    async find(name) {
      const doc = await assistants.findOne({ _id: assistantKey(name) });
      return doc ? toAssistant(doc) : undefined;
    },

    /** Guard: the version that was seen, of the same incarnation: an id may be deleted and taken again. */
    async replace(seen, next) {
      const guard = { _id: assistantKey(seen), version: seen.version, created_at: seen.createdAt };
      return (await assistants.updateOne(guard, { $set: whatChanges(next) })).matchedCount === 1;
    },

    async remove(name) {
      return (await assistants.deleteOne({ _id: assistantKey(name) })).deletedCount === 1;
    },

    /**
     * Of those that were created in the moment at which the page before has ended, some stood on that page: they are left out here,
     * since the embedded engines go by no index for an `$or`. Index: assistants_by_time, or of_graph.
     */
    async *scan({ owner, graph }, after) {
      const query: Filter<AssistantDocument> = { owner, ...(graph !== undefined && { graph }) };
      if (after) query.created_at = { $lte: after.createdAt };
      const afterKey = after && assistantKey({ owner, assistantId: after.assistantId });
      for await (const doc of assistants.find(query).sort({ created_at: -1, _id: -1 })) {
        const isOfPage = doc.created_at.getTime() !== after?.createdAt.getTime() || doc._id < afterKey!;
        if (isOfPage) yield toAssistant(doc);
      }
    },
  };
}

const whatChanges = (assistant: StoredAssistant) => ({
  graph: assistant.graph,
  name: assistant.name,
  description: assistant.description,
  config: assistant.config ?? null,
  context: assistant.context ?? null,
  metadata: JSON.stringify(assistant.metadata),
  version: assistant.version,
  updated_at: assistant.updatedAt,
});

export function toAssistant(doc: AssistantDocument): StoredAssistant {
  return {
    owner: doc.owner,
    assistantId: doc.assistant_id,
    graph: doc.graph,
    name: doc.name,
    description: doc.description,
    config: doc.config ?? undefined,
    context: doc.context ?? undefined,
    metadata: JSON.parse(doc.metadata) as Record<string, unknown>,
    version: doc.version,
    createdAt: doc.created_at,
    updatedAt: doc.updated_at,
    system: false,
  };
}
