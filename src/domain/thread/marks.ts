import type { Mark, ThreadControl, Time } from "./entry.ts";

/**
 * How a server knows whether a decision of its own has landed when the answer to the write was lost. The stored revision alone
 * proves nothing once another server may have decided since.
 */

/**
 * Nobody looks for its own mark for so long: a server that cannot reach the database is declared dead within seconds, and what its
 * life has begun ends with it. Without a limit a thread would keep a mark of every server that has ever decided about it.
 */
const keptMs = 60 * 60 * 1000;

/** The control as it is written: with the revision that is the next decision's guard, and the writer's mark. */
export const marked = (control: ThreadControl, { server, rev, at }: Mark): ThreadControl => ({
  ...control,
  rev,
  marks: [...control.marks.filter((mark) => mark.server !== server && at - mark.at < keptMs), { server, rev, at }],
});

/**
 * `tried` is the revision that this decision has tried to write, on top of `from`. Landed if and only if the server's mark is that one;
 * with the old revision still there and no such mark it may land yet, so that one has to look again.
 */
export function fateOf(
  stored: ThreadControl,
  server: string,
  from: string,
  tried: string,
): "landed" | "open" | "missed" {
  const own = stored.marks.find((mark) => mark.server === server);
  if (own?.rev === tried) return "landed";
  return stored.rev === from ? "open" : "missed";
}

/** Another server has written here within a second: who is not in a hurry waits a moment and reads afresh. */
export const isContended = ({ marks }: ThreadControl, server: string, now: Time): boolean =>
  marks.some((mark) => mark.server !== server && now - mark.at < 1000);
