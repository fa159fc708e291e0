import type { IncomingHttpHeaders } from "node:http";
import { cors as connectCors } from "@connectrpc/connect";
import { hostOf, isLoopbackName } from "./host-check.ts";

/** Which web pages may call, and the headers that tell their browsers so. */
export interface Cors {
  /** True when a page of this origin may call a server addressed by this authority. */
  allows(origin: string, authority: string | undefined): boolean;
  /** For every answer to a page of an allowed origin. */
  responseHeaders(origin: string): Record<string, string>;
  /** For the answer to an OPTIONS request, with these headers, of an allowed origin. */
  preflightHeaders(requested: IncomingHttpHeaders): Record<string, string>;
}

export interface CorsOptions {
  /** The allowed origins, for example "https://app.example"; "*" stands for all. */
  readonly origins?: readonly string[] | undefined;
  /** Access control is on: without a list no origin is allowed. Else any loopback origin is. */
  readonly isGuarded?: boolean;
  readonly isTls?: boolean;
}

const ownHeaders = ["X-Request-Id", "Location", "Content-Location", "X-Pagination-Total", "X-Pagination-Next"];
const exposedHeaders = [...connectCors.exposedHeaders, ...ownHeaders].join(", ");
const allowedMethods = [...connectCors.allowedMethods, "PUT", "PATCH", "DELETE"].join(", ");
/** Those of LangGraph's clients among them. */
const calledWith = ["X-Request-Id", "Last-Event-ID", "Authorization", "X-Api-Key", "X-Auth-Scheme", "X-Tenant-Id"];
const allowedHeaders = [...connectCors.allowedHeaders, ...calledWith].join(", ");

/**
 * A page that this server itself has served is always allowed. Credentials are headers that a page sets itself, so that no browser is ever
 * allowed to add its own (Access-Control-Allow-Credentials).
 */
export function createCors({ origins, isGuarded = false, isTls = false }: CorsOptions = {}): Cors {
  const listed = new Set(origins);
  const allowsLoopback = origins === undefined && !isGuarded;
  return {
    allows(origin, authority) {
      if (listed.has("*") || listed.has(origin)) {
        return true;
      }
      const page = URL.canParse(origin) ? new URL(origin) : undefined;
      if (page === undefined || (page.protocol !== "http:" && page.protocol !== "https:")) {
        return false;
      }
      // What comes without TLS, under this server's name, it has not served. Behind a proxy that ends TLS it may be either.
      const isOwn = page.host === authority && !(isTls && page.protocol === "http:");
      return isOwn || (allowsLoopback && isLoopbackName(hostOf(page.host) ?? ""));
    },
    responseHeaders: (origin) => ({
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Expose-Headers": exposedHeaders,
      Vary: "Origin",
    }),
    preflightHeaders: (requested) => ({
      "Access-Control-Allow-Methods": allowedMethods,
      "Access-Control-Allow-Headers": requested["access-control-request-headers"] ?? allowedHeaders,
      "Access-Control-Max-Age": "7200",
      // A page of the internet that reaches into a private network: only one that was named.
      ...(requested["access-control-request-private-network"] === "true" &&
        listed.has(requested.origin ?? "") && { "Access-Control-Allow-Private-Network": "true" }),
    }),
  };
}
