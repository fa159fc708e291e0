import type { Logger } from "pino";
import { DomainError } from "../../domain/errors.ts";
import type { MetadataFilter } from "../../domain/metadata-filter.ts";
import { ownerKey } from "../../domain/owner.ts";
import type { AuthUser, Identity, Presented, Scope } from "../identity.ts";
import type { AuthProcess } from "./auth-process.ts";
import { type AuthEvent, handlerFor, partsOf, unhandled } from "./events.ts";
import type { Answer, AuthQuestion } from "./messages.ts";
import { failed, refusalOf } from "./refusal-of.ts";

/** The `auth` of a langgraph.json: who calls, and what that one may do. */
export interface AuthFile {
  /** Rejects with what the file refuses with, ACCESS_FAILED when it fails, ACCESS_UNAVAILABLE when it does not answer. */
  identify(presented: Presented): Promise<Identity>;
  /** What its handlers say; throws as identify does. */
  rule(question: AuthQuestion): Promise<Ruling>;
}

export interface Ruling {
  /** What the call may be about; everything where it is empty. */
  readonly within: MetadataFilter;
  /** As the handler has left it: this is what counts. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Of what came as JSON texts, that which the handler has changed. */
  readonly texts: Readonly<Record<string, string>>;
  /** No handler was for the event, so that it is about what the user has made, and about the graphs themselves. */
  readonly isOwn: boolean;
  /** What something that is made now is to say of whoever makes it, where there are events without a handler. */
  readonly stamp: Readonly<Record<string, string>>;
}

/** The owner of all users of a file whose handlers tell apart what is whose. */
export const usersOwner = "auth-file";

/** In metadata: the user who has made a thread or an assistant. Only the server says so. */
export const makersField = "langgraph_auth_user_id";

const scopes: ReadonlySet<Scope> = new Set(["read", "create", "cancel", "delete"]);

/** It goes along with every run. */
const maxUserBytes = 16 * 1024;

export function createAuthFile(process: Pick<AuthProcess, "ask" | "handlers">, log: Pick<Logger, "error">): AuthFile {
  async function ask<K extends "user" | "filter">(
    question: Parameters<AuthProcess["ask"]>[0],
    wanted: K,
  ): Promise<Extract<Answer, Record<K, unknown>>> {
    const answer = await process.ask(question);
    if (wanted in answer) return answer as Extract<Answer, Record<K, unknown>>;
    if ("refused" in answer) throw logged(refusalOf(answer.refused));
    throw logged(failed("failed" in answer ? answer.failed : "it answered something else"));
  }

  function logged(error: DomainError): DomainError {
    if (error.cause) log.error({ err: error.cause }, "the auth file failed, and nobody passed");
    return error;
  }

  /** Without handlers, nothing but the owner keeps one user's from another's. */
  function ownerOf({ owner, identity }: AuthUser): string {
    if (owner === undefined || owner === null) return process.handlers.size > 0 ? usersOwner : ownerKey(identity);
    if (typeof owner === "string" && owner !== "") return ownerKey(owner);
    throw logged(failed("authenticate returned an owner that is no text"));
  }

  return {
    async identify({ method, target, headers }) {
      const { ":authority": authority, ":scheme": scheme = "http", host } = headers;
      const url = `${scheme}://${authority ?? host}${target}`;
      const { user } = await ask({ type: "authenticate", method, url, headers: pairsOf(headers) }, "user");
      if (Buffer.byteLength(JSON.stringify(user)) > maxUserBytes) {
        throw logged(failed(`authenticate returned a user of more than ${maxUserBytes} bytes of JSON`));
      }
      return { owner: ownerOf(user), actor: user.identity, scopes, credential: "auth-file", user };
    },

    async rule(question) {
      const { event, user, value } = question;
      const { resource } = partsOf(event);
      const { handlers } = process;
      const mine = { [makersField]: user.identity };
      const isComplete = !unhandled(handlers).some((one) => partsOf(one).resource === resource);
      const stamp = handlers.size > 0 && !isComplete ? mine : {};
      if (handlerFor(handlers, event) === undefined) return { ...unsaid(event, user), value, texts: {}, stamp };
      const { filter, value: left, texts } = await ask({ type: "authorize", ...question }, "filter");
      return { within: filter, value: left, texts, isOwn: false, stamp };
    },
  };

  /** Of what nobody has thought of, a user has what is its own. */
  function unsaid(event: AuthEvent, user: AuthUser): Pick<Ruling, "within" | "isOwn"> {
    if (process.handlers.size === 0) return { within: [], isOwn: false };
    if (partsOf(event).resource === "store") {
      throw new DomainError("PERMISSION_DENIED", `The deployment's auth file has no handler for ${event}.`);
    }
    return { within: [{ field: makersField, equals: user.identity }], isOwn: true };
  }
}

function pairsOf(headers: Presented["headers"]): [string, string][] {
  const own = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
  return own.flatMap(([name, value = ""]) => [value].flat().map((one): [string, string] => [name, one]));
}
