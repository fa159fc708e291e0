import type { z } from "zod";
import type { Identity } from "../access/identity.ts";
import type { ErrorAnswers } from "./errors.ts";
import type { Invoke, OnRunExists } from "./invoke.ts";
import type { Query } from "./read-query.ts";

/** What a route is called with. */
export interface RestRequest<Body = unknown> {
  /** The parts of the path that the route names, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** By lower-case name. */
  readonly header: (name: string) => string | undefined;
  readonly body: Body;
  readonly identity: Identity;
  readonly invoke: Invoke;
  /** Aborted when the client has left. */
  readonly signal: AbortSignal;
}

export type Answer =
  | { readonly kind: "json"; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  | {
      readonly kind: "text";
      readonly contentType: string;
      readonly text: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: "empty"; readonly status: 202 | 204 }
  /** A body that may take long: 200 as soon as the run is known to exist, then white space until it is there. */
  | {
      readonly kind: "deferred";
      readonly location: LocationOf;
      readonly body: (onRunExists: OnRunExists) => Promise<unknown>;
    }
  /** Server-sent events, each as its finished text. */
  | {
      readonly kind: "events";
      readonly location?: LocationOf;
      /** An error after the beginning ends the stream with an event of its own, as clients of runs know it, and cuts no one off. */
      readonly tellsErrors?: true;
      readonly events: (onRunExists: OnRunExists) => AsyncIterable<string>;
    };

/** The headers that name the run of an answer, and where to take it up again. */
export type LocationOf = (run: { threadId: string; runId: string }) => Readonly<Record<string, string>>;

/** A query parameter for the OpenAPI page: what it means, and a JSON Schema of it. A sentence alone stands for any text. */
export interface QueryParameter {
  readonly is: string;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly required?: true;
}

export interface Route<Body = unknown> {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** find-my-way's form: "/threads/:thread_id". Parts whose names end in _id must be UUIDs, but for `assistant_id`. */
  readonly path: string;
  /** One sentence for the OpenAPI page. */
  readonly is: string;
  /** The body's shape; without one no body is read. */
  readonly body?: z.ZodType<Body>;
  /** The names under which the body holds payloads, wherever they stand: in a large body these go through as text. */
  readonly payloads?: readonly string[];
  /** The query parameters that the route reads, for the OpenAPI page. */
  readonly query?: Readonly<Record<string, string | QueryParameter>>;
  /** What it removes, for the audit, where no RPC does it. */
  readonly deletes?: (body: Body) => string;
  readonly errors?: ErrorAnswers;
  /** It lasts as long as its client wants, whatever it calls meanwhile, and counts for its owner until it ends. */
  readonly lasts?: true;
  /**
   * What whoever keeps servers running asks all the time: no credentials are wanted, and a good answer is nothing for the log. Whether the
   * process lives is answered during a drain as well.
   */
  readonly probe?: "alive" | "ready";
  readonly handle: (request: RestRequest<Body>) => Promise<Answer> | Answer;
}

/** Parameters as read-query.ts reads them. */
export const textParameter = (is: string, required?: true): QueryParameter => ({
  is,
  schema: { type: "string" },
  required,
});
export const oneOfParameter = (is: string, names: readonly string[]): QueryParameter => ({
  is,
  schema: { type: "string", enum: names },
});
export const flagParameter = (is: string, also: readonly string[] = []): QueryParameter =>
  oneOfParameter(is, ["true", "1", "yes", "false", "0", "no", ...also]);
export const wholeParameter = (is: string, least: number, most: number): QueryParameter => ({
  is,
  schema: { type: "integer", minimum: least, maximum: most },
});
/** Names with commas, a JSON list of names, or the parameter once for each name. */
export const namesParameter = (is: string, names: readonly string[]): QueryParameter => ({
  is,
  schema: { type: "array", items: { type: "string", enum: names } },
});

/** Keeps a route's body type while it is written, and forgets it in the table. */
export const route = <Body>(definition: Route<Body>): Route => definition as unknown as Route;

export const json = (body: unknown, headers?: Readonly<Record<string, string>>): Answer => ({
  kind: "json",
  body,
  headers,
});
