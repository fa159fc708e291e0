import type http from "node:http";
import type http2 from "node:http2";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Cors } from "./cors.ts";
import { createError } from "./error-info.ts";
import type { HostCheck } from "./host-check.ts";
import type { NodeServerRequest } from "./node-messages.ts";

export interface AdmitOptions {
  readonly isAllowedHost: HostCheck;
  readonly cors: Cors;
  /** What is asked for takes credentials: nothing of it is for pages that have no allowed origin. */
  readonly isShut: boolean;
}

/** Why a request may not be here: the name that it was sent to, or the page that it comes from. Undefined when it may. */
export function objection(request: NodeServerRequest, options: AdmitOptions): ConnectError | undefined {
  const { isAllowedHost, cors, isShut } = options;
  const { names, hosts } = authoritiesOf(request);
  const authority = names[0];
  if (hosts > 1 || new Set(names).size > 1) {
    return refusal(
      "HOST_AMBIGUOUS",
      `The request names its host more than once, as ${names.join(" and ")}; once is allowed.`,
      Code.InvalidArgument,
    );
  }
  if (!isAllowedHost(authority)) {
    return refusal(
      "HOST_NOT_ALLOWED",
      `The host "${authority ?? ""}" is not served here; use localhost, 127.0.0.1 or [::1].`,
    );
  }
  const { origin } = request.headers;
  if (origin !== undefined) {
    if (cors.allows(origin, authority)) return undefined;
    return refusal(
      "ORIGIN_NOT_ALLOWED",
      `Web pages of ${origin} may not use this server; only those of the configured origins may.`,
    );
  }
  if (!isOfAnotherSite(request)) return undefined;
  if (mayChange(request)) return refusal("CROSS_SITE", "A page of another site may not change anything here.");
  return isShut ? refusal("CROSS_SITE", "A page of another site may not use this server.") : undefined;
}

const refusal = (reason: string, message: string, code = Code.PermissionDenied): ConnectError =>
  createError({ code, reason, message });

/** Host, or :authority, or the host of a target in absolute form: every name that somebody on the way may go by. */
function authoritiesOf(request: NodeServerRequest): { names: string[]; hosts: number } {
  const { authority } = request as http2.Http2ServerRequest;
  const raw = (request as http.IncomingMessage).rawHeaders;
  const hosts = raw.filter((_, place) => place % 2 === 1 && raw[place - 1]!.toLowerCase() === "host");
  const target = absoluteForm.exec(request.url ?? "")?.[1];
  const names = [authority, target, ...hosts].filter((name) => name !== undefined && name !== "");
  return { names: names.map((name) => name!.toLowerCase()), hosts: hosts.length };
}

/** RFC 9112, section 3.2.2: every server takes it, though only clients of proxies send it. */
const absoluteForm = /^https?:\/\/([^/?#]*)/i;

/** The path and query of a request's target. */
export function pathAndQuery(target: string): string {
  const rest = target.replace(absoluteForm, "");
  return rest.startsWith("/") || rest === "*" ? rest : `/${rest}`;
}

/**
 * A target's path and its query, as everybody reads them who decides by them. Split by hand: a URL would resolve dots, and then
 * lead elsewhere than its text says.
 */
export function readTarget(target: string): { path: string; query: URLSearchParams } {
  const [, path = "", search = ""] = /^([^?]*)\??(.*)$/s.exec(target) ?? [];
  return { path, query: new URLSearchParams(search) };
}

/**
 * By the header sec-fetch-site. Browsers send it; other clients do not. "none" is what somebody has typed. A page that has an
 * origin has been asked for it before.
 */
export const isAnotherSite = (fetchSite: string | undefined): boolean =>
  fetchSite !== undefined && !ownSites.has(fetchSite);

const isOfAnotherSite = ({ headers }: NodeServerRequest): boolean =>
  isAnotherSite(headers["sec-fetch-site"] === undefined ? undefined : String(headers["sec-fetch-site"]));

const ownSites = new Set(["same-origin", "none"]);
const safeMethods = new Set(["GET", "HEAD", "OPTIONS"]);
const leaving = new Set(["on_disconnect", "cancel_on_disconnect"]);

/** It may change something: also a reader whose leaving cancels, however its parameter is written. */
const mayChange = ({ method = "", url = "" }: NodeServerRequest): boolean =>
  !safeMethods.has(method) || [...readTarget(url).query.keys()].some((name) => leaving.has(name.toLowerCase()));
