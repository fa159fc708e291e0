import { randomBytes } from "node:crypto";
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import type { Assistant, AssistantName } from "../../domain/assistant.ts";
import { type MetadataFilter, matchesMetadata } from "../../domain/metadata-filter.ts";
import { assistantNotFound } from "../../domain/not-found.ts";
import type { Lanes } from "../../domain/ports.ts";
import type { InSight } from "../../domain/run/read-runs.ts";
import { identityKey, identityOf } from "../identity.ts";
import { type AuthFile, makersField, type Ruling } from "./auth-file.ts";
import type { AuthEvent } from "./events.ts";
import type { AuthQuestion } from "./messages.ts";
import { failed } from "./refusal-of.ts";

export interface JudgeParts {
  readonly file: Pick<AuthFile, "rule">;
  readonly lanes: Pick<Lanes, "read" | "readMany">;
  /** By id, or by a graph's name. */
  readonly findAssistant: (name: AssistantName) => Promise<Assistant | undefined>;
}

type Fields = Readonly<Record<string, unknown>>;
type Asked = Pick<AuthQuestion, "value" | "texts">;

/** Asks an auth file about a call, and looks at what the call is about with its answer. */
export interface Judge {
  rule(context: HandlerContext, event: AuthEvent, asked: Asked): Promise<Ruling>;
  /** The context to go on with: where the thread is not for the caller, one in which nothing exists. */
  onThread(context: HandlerContext, event: AuthEvent, threadId: string, more?: Fields): Promise<Judged>;
  /** Of several threads those that are not known to be somebody else's. */
  onThreads(context: HandlerContext, event: AuthEvent, threadIds: readonly string[]): Promise<string[]>;
  /** Throws ASSISTANT_NOT_FOUND for one that is not for the caller. */
  onAssistant(
    context: HandlerContext,
    event: AuthEvent,
    assistantId: string,
    more?: Fields,
    texts?: AuthQuestion["texts"],
  ): Promise<Ruling>;
  /** Undefined where there is no such thread. */
  isWithin(context: HandlerContext, threadId: string, within: MetadataFilter): Promise<boolean | undefined>;
  /** Undefined where all are. */
  inSight(context: HandlerContext, within: MetadataFilter): InSight | undefined;
  threadMetadata(context: HandlerContext, threadId: string): Promise<Fields | undefined>;
  /** The same call of one to whom nothing exists, so that every answer is the one about what there is not. */
  unseeing(context: HandlerContext): HandlerContext;
  assistant(context: HandlerContext, assistantId: string): Promise<Assistant | undefined>;
}

export interface Judged extends Ruling {
  readonly context: HandlerContext;
}

export function createJudge({ file, lanes, findAssistant }: JudgeParts): Judge {
  const ownerOf = (context: HandlerContext) => identityOf(context).owner;

  async function threadMetadata(context: HandlerContext, threadId: string): Promise<Fields | undefined> {
    const stored = await lanes.read({ owner: ownerOf(context), threadId: threadId.toLowerCase() });
    return stored?.control.metadata;
  }

  async function metadataOfMany(owner: string, threadIds: Iterable<string>): Promise<Map<string, Fields>> {
    const names = [...new Set(threadIds)].map((threadId) => ({ owner, threadId }));
    const found = names.length > 0 ? await lanes.readMany(names) : [];
    return new Map(found.map(({ control }) => [control.threadId, control.metadata]));
  }

  async function isWithin(context: HandlerContext, threadId: string, within: MetadataFilter) {
    const metadata = await threadMetadata(context, threadId);
    return metadata && matchesMetadata(metadata, within);
  }

  function rule(context: HandlerContext, event: AuthEvent, asked: Asked): Promise<Ruling> {
    const { user } = identityOf(context);
    if (!user) throw new Error("there is no user to judge");
    return file.rule({ event, user, ...asked });
  }

  const assistant = (context: HandlerContext, assistantId: string) =>
    findAssistant({ owner: ownerOf(context), assistantId });

  return {
    rule,
    threadMetadata,
    isWithin,
    assistant,
    unseeing,

    async onThread(context, event, threadId, more) {
      const ruling = await rule(context, event, { value: { thread_id: threadId.toLowerCase(), ...more } });
      const { within } = ruling;
      const isSeen = within.length === 0 || (await isWithin(context, threadId, within)) === true;
      return { ...ruling, context: isSeen ? context : unseeing(context) };
    },

    async onThreads(context, event, threadIds) {
      const ids = [...new Set(threadIds.map((id) => id.toLowerCase()))];
      const rulings = await Promise.all(ids.map((thread_id) => rule(context, event, { value: { thread_id } })));
      if (rulings.every(({ within }) => within.length === 0)) return ids;
      const known = await metadataOfMany(ownerOf(context), ids);
      return ids.filter((id, place) => {
        const metadata = known.get(id);
        return metadata === undefined || matchesMetadata(metadata, rulings[place]!.within);
      });
    },

    async onAssistant(context, event, assistantId, more, texts) {
      const found = await assistant(context, assistantId);
      const value = { assistant_id: found?.assistantId ?? assistantId.toLowerCase(), ...more };
      const ruling = await rule(context, event, { value, texts });
      const { within, isOwn } = ruling;
      const isSeen = !found || (isOwn && found.system) || matchesMetadata(found.metadata, within);
      if (!isSeen) throw assistantNotFound(assistantId);
      return ruling;
    },

    inSight(context, within) {
      if (within.length === 0) return undefined;
      const owner = ownerOf(context);
      return async (runs) => {
        const known = await metadataOfMany(
          owner,
          runs.map(({ threadId }) => threadId),
        );
        return runs.filter(({ threadId }) => {
          const metadata = known.get(threadId);
          return metadata !== undefined && matchesMetadata(metadata, within);
        });
      };
    },
  };
}

/** Nobody's: of the form that `ownerKey` gives to names, and known to nobody. */
const nowhere = `.${randomBytes(32).toString("base64url")}`;

function unseeing(context: HandlerContext): HandlerContext {
  const { values } = context;
  const identity = { ...identityOf(context), owner: nowhere };
  const own: ContextValues = {
    get: (key) => (Object.is(key.id, identityKey.id) ? (identity as never) : values.get(key)),
    set(key, value) {
      values.set(key, value);
      return own;
    },
    delete(key) {
      values.delete(key);
      return own;
    },
  };
  return { ...context, values: own };
}

/** What a handler has left of metadata, without what only the server says, and with that where something is made. */
export function metadataOf({ value, stamp }: Pick<Ruling, "value" | "stamp">): Record<string, unknown> {
  const { metadata = {} } = value;
  if (typeof metadata !== "object" || Array.isArray(metadata))
    throw failed("a handler left metadata that is no object");
  const { [makersField]: _, ...own } = (metadata ?? {}) as Record<string, unknown>;
  return { ...own, ...stamp };
}
