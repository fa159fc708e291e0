import { type ReadMessage, readChildMessage, type WrongMessage } from "./child-message.ts";
import { isJson } from "./is-json.ts";
import type { ChildMessage } from "./protocol.ts";

export interface InboxListener {
  /** A message that is as the protocol says. */
  readonly message: (message: ChildMessage) => void;
  /** One of the protocol's kind that is not. */
  readonly malformed: (message: WrongMessage) => void;
}

/** What has come from one child process, in the order in which it was sent. */
export interface ChildInbox {
  push(raw: unknown): void;
  /** Resolves when all that was pushed has been handed over. */
  empty(): Promise<void>;
}

/**
 * Hands messages over as they come. One with a long text takes some turns of the event loop until it is known to be JSON; what comes
 * behind it waits, so that an attempt's end, or a count of nodes, never overtakes its output.
 */
export function createChildInbox({ message, malformed }: InboxListener): ChildInbox {
  let reading: Promise<void> | undefined;

  function tell(read: ReadMessage | undefined): void {
    if (read?.message !== undefined) message(read.message);
    for (const one of read?.wrong ?? []) malformed(one);
  }

  async function readBehind(before: Promise<void> | undefined, raw: unknown): Promise<void> {
    await before;
    tell(await readWhole(raw));
  }

  return {
    push(raw) {
      const read = reading ? undefined : readChildMessage(raw);
      if (!reading && !read?.longTexts) return tell(read);
      const mine = readBehind(reading, raw).finally(() => {
        if (reading === mine) reading = undefined;
      });
      reading = mine;
    },
    async empty() {
      await reading;
    },
  };
}

/** Like {@link readChildMessage}, with the long texts read as well. */
export async function readWhole(raw: unknown): Promise<ReadMessage | undefined> {
  const read = readChildMessage(raw);
  const broken: string[] = [];
  for (const text of read?.longTexts ?? []) if (!(await isJson(text))) broken.push(text);
  return broken.length > 0 ? readChildMessage(raw, broken) : read;
}
