import type { IncomingHttpHeaders } from "node:http";
import { createContextKey, type HandlerContext } from "@connectrpc/connect";

/** What somebody may do; `admin` holds all others. */
export const scopes = ["read", "create", "cancel", "delete", "admin"] as const;
export type Scope = (typeof scopes)[number];

/** Who calls, and what that one may do. */
export interface Identity {
  /** The tenant, as `ownerKey` makes it: nothing of one owner is seen, counted, waited for or stopped by another. */
  readonly owner: string;
  /** The person or service, for runs, cancellations and the audit; '' where nobody is known. */
  readonly actor: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Which credential said so, and never the credential itself: "key:k3Hd…", "jwt:https://issuer", "certificate:spiffe://…", "auth-file". */
  readonly credential: string;
  /** Who that is to the deployment's auth file, whose handlers then decide what its user may do. */
  readonly user?: AuthUser;
}

/** A user as an auth file has told it, with fields of its own: plain JSON. */
export interface AuthUser {
  readonly identity: string;
  readonly permissions: readonly string[];
  readonly display_name: string;
  readonly is_authenticated: boolean;
  readonly [field: string]: unknown;
}

/** What a request of any protocol brings to say who sends it. */
export interface Presented {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** What all lines and entries about it have in common. */
  readonly requestId: string;
  readonly headers: IncomingHttpHeaders;
  /** The client's certificate, where TLS has verified one. */
  readonly certificate?: ClientCertificate | undefined;
}

export interface ClientCertificate {
  /** `subjectaltname` as Node tells it: "URI:spiffe://acme/worker, DNS:worker.acme". */
  readonly subjectAltName: string;
  readonly fingerprint256: string;
}

/** Says who sends a request. Throws, or rejects with, a refusal; any other error refuses as well. */
export type Identify = (presented: Presented) => Identity | Promise<Identity>;

/** What the audit keeps of who asks. */
export const whoAsks = ({ owner, actor, credential }: Identity) => ({ owner, actor, credential });

/** Everybody, as long as access control is off. */
export const anybody: Identity = { owner: "", actor: "", scopes: new Set(scopes), credential: "" };

/** Whoever asks for what everybody may. */
export const nobody: Identity = { owner: "", actor: "", scopes: new Set(), credential: "" };

export const identityKey = createContextKey<Identity | undefined>(undefined, { description: "who calls" });

/** The call is part of one that counts among those that stream or wait. */
export const isCountedKey = createContextKey(false, { description: "it counts already" });

export const requestIdKey = createContextKey("", { description: "the request's id" });

/** Throws for a call that nobody is known to have made: it must not pass for one of anybody's. */
export function identityOf({ values }: Pick<HandlerContext, "values">): Identity {
  const identity = values.get(identityKey);
  if (identity === undefined) throw new Error("It is not known who calls");
  return identity;
}

export const ownerOf = (context: Pick<HandlerContext, "values">): string => identityOf(context).owner;
