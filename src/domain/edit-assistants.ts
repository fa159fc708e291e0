import type { Assistant, AssistantName, StoredAssistant } from "./assistant.ts";
import { checkData, checkMetadata, invalid, maxStoredBytes, tooLarge } from "./check-metadata.ts";
import { DomainError } from "./errors.ts";
import type { GraphAssistants } from "./graph-assistants.ts";
import { assistantNotFound } from "./not-found.ts";
import type { AssistantStore } from "./ports.ts";
import { checkConfig, checkObject } from "./run/check-config.ts";

export interface EditAssistantsParts {
  readonly graphAssistants: GraphAssistants;
  readonly assistants: AssistantStore;
  readonly now: () => Date;
}

/** What a client says of an assistant. */
type Said = Pick<Assistant, "graph" | "name" | "description" | "config" | "context" | "metadata">;

interface NewAssistant extends Said, AssistantName {
  readonly ifExists: "raise" | "do_nothing";
}

/** What is absent stays as it is. */
interface AssistantChange extends AssistantName, Partial<Said> {
  readonly removeMetadata: readonly string[];
}

export interface EditAssistants {
  /** Throws GRAPH_NOT_FOUND, or ASSISTANT_EXISTS when the id is taken, unless the one that is there will do. */
  create(request: NewAssistant): Promise<Assistant>;
  /** Counts a version, also when nothing differs. Throws ASSISTANT_NOT_FOUND, ASSISTANT_READ_ONLY or GRAPH_NOT_FOUND. */
  update(change: AssistantChange): Promise<Assistant>;
  /** Runs of it keep what they were given. Throws ASSISTANT_NOT_FOUND or ASSISTANT_READ_ONLY. */
  remove(name: AssistantName): Promise<void>;
}

export function createEditAssistants({ graphAssistants, assistants, now }: EditAssistantsParts): EditAssistants {
  function checkWritable({ assistantId, owner }: AssistantName): void {
    const graph = graphAssistants.find(assistantId, owner)?.graph;
    if (graph === undefined) return;
    throw new DomainError(
      "ASSISTANT_READ_ONLY",
      `assistant_id: ${assistantId} is the graph "${graph}" itself, which comes with langgraph.json; configure an assistant on it instead`,
      { metadata: { assistant_id: assistantId, graph_id: graph } },
    );
  }

  return {
    async create({ ifExists, ...said }) {
      graphAssistants.checkGraph("graph_id", said.graph);
      checkSaid(said);
      const at = now();
      const assistant: StoredAssistant = { ...said, version: 1, createdAt: at, updatedAt: at, system: false };
      for (;;) {
        const there = graphAssistants.find(said.assistantId, said.owner) ?? (await assistants.find(said));
        if (!there && (await assistants.insert(assistant))) return assistant;
        if (ifExists === "raise") throw assistantExists(said.assistantId);
        if (there) return there;
        // Another call has just taken the id.
      }
    },

    async update({ removeMetadata, ...change }) {
      checkWritable(change);
      if (change.graph !== undefined) graphAssistants.checkGraph("graph_id", change.graph);
      const both = removeMetadata.find((field) => Object.hasOwn(change.metadata ?? {}, field));
      if (both !== undefined)
        throw invalid("remove_metadata", `the field "${both}" is also in metadata; name it in one`);
      for (;;) {
        const seen = await assistants.find(change);
        if (!seen) throw assistantNotFound(change.assistantId);
        const set = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
        const merged = Object.entries({ ...seen.metadata, ...change.metadata });
        const metadata = Object.fromEntries(merged.filter(([field]) => !removeMetadata.includes(field)));
        const next: StoredAssistant = { ...seen, ...set, metadata, version: seen.version + 1, updatedAt: now() };
        checkSaid(next);
        if (await assistants.replace(seen, next)) return next;
        // It changed in between: the change is made to what it is now.
      }
    },

    async remove(name) {
      checkWritable(name);
      if (!(await assistants.remove(name))) throw assistantNotFound(name.assistantId);
    },
  };
}

/** Throws INVALID_FIELD or INPUT_TOO_LARGE. */
function checkSaid({ name, description, config, context, metadata }: Said): void {
  checkConfig(config, "config");
  checkData(checkObject(config?.configurable, "config.configurable") ?? {}, "config.configurable");
  checkData(checkObject(context, "context") ?? {}, "context");
  checkMetadata(metadata, "metadata");
  const bytes = Buffer.byteLength(JSON.stringify({ name, description, config, context, metadata }));
  if (bytes > maxStoredBytes) throw tooLarge("assistant", `its fields have ${bytes} bytes of JSON together`);
}

function assistantExists(assistantId: string): DomainError {
  return new DomainError("ASSISTANT_EXISTS", `assistant_id: there is already an assistant ${assistantId}`, {
    metadata: { assistant_id: assistantId },
  });
}
