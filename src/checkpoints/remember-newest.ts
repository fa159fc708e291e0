import type {
  ChannelValue,
  JournalFlush,
  JournalPort,
  JournalReadQuery,
  PendingWriteRecord,
  StoredCheckpoint,
} from "./journal-port.ts";

/** What is known of a namespace's newest checkpoint: null when there is none, undefined when the journal must be asked. */
export type Newest = StoredCheckpoint | null | undefined;

export interface RememberingPort extends JournalPort {
  /** Of the root namespace. */
  readonly newest: Newest;
}

/** More than this is read from the journal again rather than kept. */
const manyBytes = 1024 * 1024;

/**
 * A port that answers by itself what the attempt knows: the graph's newest checkpoint, when it has read or stored that itself and
 * nothing was added to it since, or that there is none yet. Nobody else writes to the thread while the attempt may.
 */
export function rememberNewest(port: JournalPort, known: Newest, maxBytes = manyBytes): RememberingPort {
  let newest = known;
  /** What the last one that was known is made of. It is never changed, so that the next one may build on it whatever came between. */
  let bytes = known?.segmentBytes ?? {};
  let appends = 0;
  let underWay = 0;
  /** Checkpoints that writes have come for, other than the newest then: they may come before their checkpoint. */
  const written = new Set<string>();

  function after(before: Newest, { checkpoints, writes, segments }: JournalFlush): Newest {
    const made = checkpoints.findLast(({ namespace }) => namespace === "");
    const current = made?.checkpointId ?? before?.checkpointId;
    for (const { namespace, checkpointId } of writes) if (namespace === "") written.add(checkpointId);
    if (current !== undefined && written.delete(current)) return undefined;
    if (!made) return before;
    const bytesOf = { ...bytes, ...Object.fromEntries(segments.map((one) => [one.segmentId, one.bytes])) };
    const needed = Object.values(made.values).flatMap(segmentsOf);
    if (needed.some((id) => bytesOf[id] === undefined)) return undefined;
    const segmentBytes = Object.fromEntries(needed.map((id) => [id, bytesOf[id]!]));
    return unlessLarge({ ...made, writes: [], segmentBytes });
  }

  function unlessLarge(stored: StoredCheckpoint): Newest {
    const isLarge = sizeOf(stored) > maxBytes;
    bytes = isLarge ? {} : stored.segmentBytes;
    return isLarge ? undefined : stored;
  }

  function knows({ namespace, checkpointId }: JournalReadQuery): boolean {
    if (namespace !== "" || newest === undefined) return false;
    return checkpointId === undefined || checkpointId === newest?.checkpointId;
  }

  return {
    get newest() {
      return newest;
    },
    async append(flush) {
      const before = newest;
      appends += 1;
      underWay += 1;
      // Unknown until the flush has landed, and for good when it does not.
      newest = undefined;
      try {
        await port.append(flush);
      } finally {
        underWay -= 1;
      }
      newest = after(before, flush);
    },
    async read(query) {
      if (knows(query)) return newest ?? undefined;
      const appendsBefore = underWay === 0 ? appends : undefined;
      const found = await port.read(query);
      const isNewest = query.namespace === "" && query.checkpointId === undefined && !query.includeKept;
      if (isNewest && appends === appendsBefore) newest = found ? unlessLarge(found) : null;
      return found;
    },
    list: (query) => port.list(query),
  };
}

const segmentsOf = (value: ChannelValue): string[] =>
  "parts" in value ? value.parts.map(({ segmentId }) => segmentId) : [];

function sizeOf({ values, writes, segmentBytes }: StoredCheckpoint): number {
  const inline = (value: ChannelValue) => ("inline" in value ? value.inline.bytes.length : 0);
  const bytes = [
    ...Object.values(segmentBytes).map(({ length }) => length),
    ...Object.values(values).map(inline),
    ...writes.map(({ value }: PendingWriteRecord) => inline(value)),
  ];
  return bytes.reduce((sum, one) => sum + one, 0);
}
