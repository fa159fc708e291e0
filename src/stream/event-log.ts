import type { RunEventStore } from "../domain/ports.ts";
import { answerBytes } from "../domain/read-page.ts";
import type { RunName } from "../domain/run/run.ts";
import {
  charactersOf,
  type EventChunk,
  type OutputEvent,
  type PackedEvent,
  type StoredEvent,
  type WholeEvent,
} from "../domain/run/run-events.ts";
import { applyDelta } from "../domain/text-delta.ts";
import { leastCharacters, namespaceOf, type RecentText, RecentTexts } from "./recent-texts.ts";

/** What all readers together keep of texts while they wait; who finds no room reads them again. */
const keptCharacters = 32 * 1024 * 1024;

/** Reads the events of one run, whose texts are stored as what they have of others before them; see `pack-events.ts`. */
export interface EventLogReader {
  /**
   * Chunks that hold events from this number on, in order, up to about a megabyte. An event whose text is made from one that is not there any more is left out with
   * all before it, as if it had gone as well: then the first chunk begins after the number.
   */
  from(sequence: number): Promise<EventChunk[]>;
  /** Nothing is read for a while. */
  rest(): void;
  close(): void;
}

export type OpenEventLog = (run: RunName) => EventLogReader;

export function createEventLog(store: Pick<RunEventStore, "from">): OpenEventLog {
  let kept = 0;

  return (run) => {
    const texts = new RecentTexts<RecentText>();
    /** What was read and is more than was asked for: short as it is stored, and long as it is told. */
    let ahead: EventChunk<StoredEvent>[] = [];
    let mine = 0;

    function keep(characters: number): void {
      kept += characters - mine;
      mine = characters;
    }

    /** The event with its text, which later ones may be made from; undefined while the text that it is made from is not known. */
    function unpack(event: StoredEvent, sequence: number): WholeEvent | undefined {
      if (event.kind !== "output") return event;
      const whole = "delta" in event ? toWhole(event) : event;
      if (whole && whole.json.length >= leastCharacters) {
        texts.put(whole, { sequence, namespace: namespaceOf(whole), text: whole.json });
      }
      return whole;
    }

    function toWhole(event: PackedEvent): OutputEvent | undefined {
      const { delta, base, since: _, ...head } = event;
      const known = texts.at(base);
      return known && { ...head, json: applyDelta(known.text, delta) };
    }

    /** Reads what the writer knew when it wrote the event with that number. */
    async function learn(since: number, sequence: number): Promise<void> {
      texts.clear();
      for (let next = since; next < sequence; ) {
        const chunks = await store.from(run, next);
        if (chunks.length === 0) return;
        for (const { first, last, events } of chunks) {
          for (const [place, event] of events.entries()) if (first + place < sequence) unpack(event, first + place);
          next = last + 1;
        }
      }
    }

    async function unpackChunk({ first, last, events }: EventChunk<StoredEvent>): Promise<EventChunk> {
      let whole: WholeEvent[] = [];
      let begin = first;
      for (const [place, event] of events.entries()) {
        const sequence = first + place;
        let one = unpack(event, sequence);
        if (one === undefined && "since" in event) {
          await learn(event.since, sequence);
          one = unpack(event, sequence);
        }
        if (one) whole.push(one);
        else {
          begin = sequence + 1;
          whole = [];
        }
      }
      return { first: begin, last, events: whole };
    }

    return {
      async from(sequence) {
        if (ahead[0]?.first !== sequence) ahead = [...(await store.from(run, sequence))];
        const chunks: EventChunk[] = [];
        for (let characters = 0; ahead.length > 0 && characters < answerBytes; ) {
          const chunk = await unpackChunk(ahead.shift()!);
          chunks.push(chunk);
          for (const event of chunk.events) characters += charactersOf(event);
        }
        return chunks;
      },
      rest() {
        ahead = [];
        if (kept - mine + texts.characters > keptCharacters) texts.clear();
        keep(texts.characters);
      },
      close() {
        texts.clear();
        keep(0);
      },
    };
  };
}
