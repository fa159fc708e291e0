import type { ChannelValue, JournalFlush, JournalPort, JournalReadQuery, StoredCheckpoint } from "./journal-port.ts";

/** More than this is read from the journal again rather than kept. */
const maxBytes = 1024 * 1024;

/**
 * A port that answers by itself what the attempt knows: the graph's newest checkpoint, when it has stored that itself and
 * nothing was added to it since, or that there is none yet. Nobody else writes to the thread while the attempt may. `isEmpty`: the thread
 * has no checkpoint when the attempt begins.
 */
export function rememberNewest(port: JournalPort, isEmpty: boolean): JournalPort {
  /** Null: there is none. Undefined: the journal must be asked. */
  let newest: StoredCheckpoint | null | undefined = isEmpty ? null : undefined;

  function after(before: typeof newest, { checkpoints, writes, segments }: JournalFlush): typeof newest {
    const made = checkpoints.findLast(({ namespace }) => namespace === "");
    const current = made?.checkpointId ?? before?.checkpointId;
    if (writes.some(({ namespace, checkpointId }) => namespace === "" && checkpointId === current)) return undefined;
    if (!made) return before;
    const known = { ...before?.segmentBytes, ...Object.fromEntries(segments.map((one) => [one.segmentId, one.bytes])) };
    const needed = Object.values(made.values).flatMap(segmentsOf);
    if (needed.some((id) => known[id] === undefined)) return undefined;
    const segmentBytes = Object.fromEntries(needed.map((id) => [id, known[id]!]));
    const size = Object.values(segmentBytes).reduce((sum, bytes) => sum + bytes.length, inlineBytes(made.values));
    return size > maxBytes ? undefined : { ...made, writes: [], segmentBytes };
  }

  function knows({ namespace, checkpointId }: JournalReadQuery): boolean {
    if (namespace !== "" || newest === undefined) return false;
    return checkpointId === undefined || checkpointId === newest?.checkpointId;
  }

  return {
    async append(flush) {
      const before = newest;
      // Unknown until the flush has landed, and for good when it does not.
      newest = undefined;
      await port.append(flush);
      newest = after(before, flush);
    },
    read: (query) => (knows(query) ? Promise.resolve(newest ?? undefined) : port.read(query)),
    list: (query) => port.list(query),
  };
}

const segmentsOf = (value: ChannelValue): string[] =>
  "parts" in value ? value.parts.map(({ segmentId }) => segmentId) : [];

const inlineBytes = (values: Readonly<Record<string, ChannelValue>>): number =>
  Object.values(values).reduce((sum, value) => sum + ("inline" in value ? value.inline.bytes.length : 0), 0);
