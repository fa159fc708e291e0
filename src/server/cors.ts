import { cors as connectCors } from "@connectrpc/connect";
import { hostOf, isLoopbackName } from "./host-check.ts";

/** Which web pages may call, and the headers that tell their browsers so. */
export interface Cors {
  /** True when a page of this origin may call a server addressed by this authority. */
  allows(origin: string, authority: string | undefined): boolean;
  /** For every answer to a page of an allowed origin. */
  responseHeaders(origin: string): Record<string, string>;
  /** For the answer to an OPTIONS request of an allowed origin. */
  preflightHeaders(requestedHeaders: string | undefined): Record<string, string>;
}

const ownHeaders = ["X-Request-Id", "Location", "Content-Location", "X-Pagination-Total", "X-Pagination-Next"];
const exposedHeaders = [...connectCors.exposedHeaders, ...ownHeaders].join(", ");
const allowedMethods = [...connectCors.allowedMethods, "PUT", "PATCH", "DELETE"].join(", ");
const allowedHeaders = [...connectCors.allowedHeaders, "X-Request-Id", "Last-Event-ID"].join(", ");

/**
 * @param origins the allowed origins, for example "https://app.example"; "*" stands for all. Absent: any loopback origin.
 * A page that this server itself has served is always allowed.
 */
export function createCors(origins?: readonly string[]): Cors {
  const listed = new Set(origins);
  return {
    allows(origin, authority) {
      if (listed.has("*") || listed.has(origin)) {
        return true;
      }
      const page = URL.canParse(origin) ? new URL(origin) : undefined;
      if (page === undefined || (page.protocol !== "http:" && page.protocol !== "https:")) {
        return false;
      }
      return page.host === authority || (origins === undefined && isLoopbackName(hostOf(page.host) ?? ""));
    },
    responseHeaders: (origin) => ({
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Expose-Headers": exposedHeaders,
      Vary: "Origin",
    }),
    preflightHeaders: (requestedHeaders) => ({
      "Access-Control-Allow-Methods": allowedMethods,
      "Access-Control-Allow-Headers": requestedHeaders ?? allowedHeaders,
      "Access-Control-Max-Age": "7200",
    }),
  };
}
