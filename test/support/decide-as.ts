import { newId } from "../../src/domain/ids.ts";
import type { Lanes } from "../../src/domain/ports.ts";
import type { Wish } from "../../src/domain/thread/act.ts";
import type { Command } from "../../src/domain/thread/commands.ts";
import { createDecide, type Decision, type NewThread } from "../../src/domain/thread/decide.ts";
import type { ThreadName } from "../../src/domain/thread.ts";

/** Decides on the same database as another server would, of which there is nothing but its name. */
export function decideAs(
  server: string,
  lanes: Lanes,
): (name: ThreadName, wish: Wish, born?: NewThread) => Promise<Decision | undefined> {
  const decide = createDecide({
    lanes,
    self: () => ({ id: server, ended: new AbortController().signal }),
    now: Date.now,
    newRev: newId,
    random: Math.random,
    sleep: () => Promise.resolve(),
    isTransient: () => false,
    pause: () => Promise.resolve(),
  });
  return (name, wish, born) => decide(name, { ...wish, server } as Command, { born });
}
