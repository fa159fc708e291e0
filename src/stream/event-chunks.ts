import type { WholeEvent } from "../domain/run/run-events.ts";

/** The database's documents end at 16 MB; each chunk is one. */
const maxEventBytes = 15 * 1024 * 1024;

/** Of the output in one chunk of several events: even at three bytes a character it fits. */
const chunkCharacters = 4 * 1024 * 1024;

/** The run put out more at once than can be stored. */
class EventTooLargeError extends Error {
  override readonly name = "EventTooLargeError";
}

/** Cuts events into what fits in one chunk each. Throws an EventTooLargeError for one that fits in none. */
export function* inChunks(events: readonly WholeEvent[]): Generator<readonly WholeEvent[]> {
  let chunk: WholeEvent[] = [];
  let characters = 0;
  for (const event of events) {
    const size = sizeOf(event);
    if (chunk.length > 0 && characters + size > chunkCharacters) {
      yield chunk;
      chunk = [];
      characters = 0;
    }
    chunk.push(event);
    characters += size;
  }
  if (chunk.length > 0) yield chunk;
}

function sizeOf(event: WholeEvent): number {
  if (event.kind !== "output") return 0;
  const { length } = event.json;
  const bytes = length > maxEventBytes / 3 ? Buffer.byteLength(event.json) : length;
  if (bytes > maxEventBytes) {
    throw new EventTooLargeError(
      `an event of mode ${event.mode} has ${bytes} bytes of JSON; at most ${maxEventBytes} can be stored`,
    );
  }
  return length;
}
