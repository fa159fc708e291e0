import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { anybody, identityKey } from "../../../src/access/identity.ts";
import { DomainError } from "../../../src/domain/errors.ts";
import type { Api } from "../../../src/wiring/api.ts";
import type { SimulatedServer } from "../simulated-server.ts";
import type { Timeline } from "../time/timeline.ts";

/** What a client hears of a call. */
export type Heard<T> =
  | { readonly kind: "answer"; readonly value: T }
  /** The server has refused it, and nothing was changed. */
  | { readonly kind: "refused"; readonly reason: string; readonly message: string }
  /** Nobody knows what became of it: no server, a lost answer, an error of the database. */
  | { readonly kind: "lost" };

export interface CallParts {
  readonly timeline: Timeline;
  readonly random: () => number;
  /** Which part of the answers is lost. */
  readonly loss: () => number;
  readonly failed: (what: string, error: unknown) => void;
}

export interface CallOptions {
  /** The client leaves after so long, if it has not been answered; never when absent. */
  readonly patienceMs?: number;
}

export type Call = <T>(
  what: string,
  server: SimulatedServer,
  handle: (api: Api, context: HandlerContext) => Promise<T>,
  options?: CallOptions,
) => Promise<Heard<T>>;

/** Calls a server's handlers over a network that may lose the answer; a server that dies leaves its callers with nothing. */
export function createCall({ timeline, random, loss, failed }: CallParts): Call {
  const hop = () => 0.2 + random() * 3;

  return <T>(
    what: string,
    server: SimulatedServer,
    handle: (api: Api, context: HandlerContext) => Promise<T>,
    { patienceMs }: CallOptions = {},
  ) =>
    new Promise<Heard<T>>((resolve) => {
      const { process } = server;
      const leaving = new AbortController();
      let isHeard = false;
      const hear = (heard: Heard<T>, label: string, after = hop()) => {
        timeline.schedule(after, undefined, `${what} ${label}`, () => {
          if (isHeard) return;
          isHeard = true;
          resolve(heard);
        });
      };
      const leave = (label: string) => {
        if (isHeard) return;
        hear({ kind: "lost" }, label, 0);
        timeline.schedule(hop(), process, `${what}: the client is gone`, () => leaving.abort(new Error("gone")));
      };
      const context = {
        signal: leaving.signal,
        values: createContextValues().set(identityKey, anybody),
        timeoutMs: () => undefined,
      };

      timeline.schedule(hop(), undefined, `${what} goes to ${process.name}`, () => {
        const api = server.api();
        if (process.state === "dead" || !api) return hear({ kind: "lost" }, "finds nobody");
        server.onDeath(() => hear({ kind: "lost" }, "is cut off"));
        const isLost = random() < loss();
        timeline.schedule(0, process, `gets ${what}`, () => {
          handle(api, context as unknown as HandlerContext).then(
            (value) => (isLost ? leave("loses its answer") : hear({ kind: "answer", value }, "is answered")),
            (error: unknown) => {
              const heard = heardOf(error);
              if (heard === "unexpected") {
                if (!leaving.signal.aborted) failed(what, error);
                hear({ kind: "lost" }, "fails");
              } else if (isLost) leave("loses its refusal");
              else hear(heard, heard.kind === "refused" ? `is refused: ${heard.reason}` : "fails");
            },
          );
        });
      });
      if (patienceMs !== undefined)
        timeline.schedule(patienceMs, undefined, `${what} gives up`, () => leave("leaves"), true);
    });
}

function heardOf(
  error: unknown,
): { kind: "refused"; reason: string; message: string } | { kind: "lost" } | "unexpected" {
  if (error instanceof DomainError) return { kind: "refused", reason: error.reason, message: error.message };
  const { name, message } = error as Error;
  if (/^Mongo/.test(name) || name === "LifeIsOver" || name === "ConnectError") return { kind: "lost" };
  return /another server|FencedError/.test(`${name} ${message}`) ? { kind: "lost" } : "unexpected";
}
