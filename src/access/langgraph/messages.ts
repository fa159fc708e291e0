import { z } from "zod";
import type { AuthUser } from "../identity.ts";
import type { AuthEvent } from "./events.ts";

/** Where an auth file is, and what it exports. */
export interface AuthFileSpec {
  readonly file: string;
  readonly exportName: string;
}

/** What the server tells the process of an auth file. */
export type ToProcess =
  | {
      readonly type: "start";
      readonly spec: AuthFileSpec;
      /** Variables that no other process may read, as those can that a process is started with. */
      readonly secrets: Readonly<Record<string, string>>;
    }
  | ({ readonly type: "authenticate"; readonly id: number } & AuthRequest)
  | ({ readonly type: "authorize"; readonly id: number } & AuthQuestion)
  | { readonly type: "ping" };

/** What a request says of itself; its body stays in the server. */
export interface AuthRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
}

export interface AuthQuestion {
  readonly event: AuthEvent;
  readonly user: AuthUser;
  readonly value: Readonly<Record<string, unknown>>;
  /** JSON texts of more fields of the value, which the server does not read since they may be large. */
  readonly texts?: Readonly<Record<string, string | undefined>> | undefined;
}

const plain = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const condition = z.union([
  z.strictObject({ field: z.string(), equals: plain }),
  z.strictObject({ field: z.string(), contains: z.array(plain).min(1) }),
]);

const user = z.looseObject({
  identity: z.string().min(1).max(1000),
  permissions: z.array(z.string()),
  display_name: z.string(),
  is_authenticated: z.boolean(),
});

const answer = z.union([
  z.strictObject({ user }),
  /** What it may be about, and the value as the handler has left it. */
  z.strictObject({
    filter: z.array(condition),
    value: z.record(z.string(), z.unknown()),
    /** Of the fields that came as texts, those that it has changed. */
    texts: z.record(z.string(), z.string()),
  }),
  /** An HTTPException. */
  z.strictObject({
    refused: z.strictObject({
      status: z.int(),
      message: z.string(),
      headers: z.array(z.tuple([z.string(), z.string()])),
    }),
  }),
  /** Anything else that was thrown or returned; for the log. */
  z.strictObject({ failed: z.string() }),
]);
export type Answer = z.infer<typeof answer>;

/** What the process tells the server. It runs a user's code, so that its messages are checked as a client's are. */
export const fromProcess = z.union([
  z.strictObject({ type: z.literal("ready"), handlers: z.array(z.string()) }),
  z.strictObject({ type: z.literal("unusable"), problem: z.string() }),
  z.strictObject({ type: z.literal("answer"), id: z.int(), answer }),
  z.strictObject({ type: z.literal("pong") }),
]);
export type FromProcess = z.infer<typeof fromProcess>;
