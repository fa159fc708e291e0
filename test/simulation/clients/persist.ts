import type { HandlerContext } from "@connectrpc/connect";
import type { Api } from "../../../src/wiring/api.ts";
import type { SimulatedServer } from "../simulated-server.ts";
import type { Timeline } from "../time/timeline.ts";
import type { Call, CallOptions, Heard } from "./calls.ts";

export interface PersistParts {
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly call: Call;
  /** One that is likely to answer. */
  readonly anyServer: () => SimulatedServer | undefined;
}

export interface PersistOptions extends CallOptions {
  /** How often it is tried through one server after another. */
  readonly tries: number;
}

export type Persist = <T>(
  what: string,
  handle: (api: Api, context: HandlerContext) => Promise<T>,
  options: PersistOptions,
) => Promise<Heard<T>>;

/** Tries a call again, through any server, as long as nobody knows what became of it. */
export function createPersist({ timeline, random, call, anyServer }: PersistParts): Persist {
  const pause = (ms: number) =>
    new Promise<void>((resolve) => void timeline.schedule(ms, undefined, "a client tries again", resolve));

  return async (what, handle, { tries, patienceMs }) => {
    for (let i = 0; ; i++) {
      const server = anyServer();
      const heard = server && (await call(what, server, handle, { patienceMs }));
      if (heard && heard.kind !== "lost") return heard;
      if (i + 1 >= tries) return { kind: "lost" };
      await pause(20 + random() * 300);
    }
  };
}
