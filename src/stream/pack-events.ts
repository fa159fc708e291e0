import { charactersOf, type OutputEvent, type StoredEvent, type WholeEvent } from "../domain/run/run-events.ts";
import { deltaOf, sizeOfDelta, type TextDelta } from "../domain/text-delta.ts";
import { leastCharacters, namespaceOf, type RecentText, RecentTexts } from "./recent-texts.ts";

/** A reader who begins in the middle reads at most so many times as much as the text that it needs. */
const mostRead = 4;
/** And so many events. */
const mostLinks = 1_000;
/** A text is compared with so many others at most, the latest ones: to look for what two large ones have in common takes milliseconds. */
const mostTries = 4;
/** A base that gives all but this share is taken without a look at others. */
const goodShare = 1 / 8;
/** Of the text; what saves less is stored whole. */
const mostShare = 1 / 2;

interface Base extends RecentText {
  /** Where the texts that it is made from begin, and how much the run had written until then. */
  readonly since: number;
  readonly writtenBefore: number;
  /** How many texts lie between it and that one. */
  readonly links: number;
}

interface Packing {
  readonly base: Base;
  readonly delta: TextDelta;
  readonly size: number;
}

/**
 * Stores of each text only what no event before it has: a state that grows with each step, and is told with each, would otherwise be
 * written as often. One for each attempt: the next one's first text is whole.
 *
 * Now and then a text is stored whole again, so that all that a reader needs is never much more than what it asks for.
 */
export function createEventPacker(): (events: readonly WholeEvent[], first: number) => StoredEvent[] {
  const recent = new RecentTexts<Base>();
  /** Characters so far. */
  let written = 0;

  function bestFor(event: OutputEvent): Packing | undefined {
    const { length } = event.json;
    const namespace = namespaceOf(event);
    const mayBeBase = (base: Base): boolean =>
      base.namespace === namespace &&
      base.text.length * 2 >= length &&
      written - base.writtenBefore <= mostRead * length &&
      base.links < mostLinks;
    let best: Packing | undefined;
    for (const base of recent.all().filter(mayBeBase).slice(0, mostTries)) {
      const delta = deltaOf(base.text, event.json);
      const size = sizeOfDelta(delta);
      if (size <= length * mostShare && size < (best?.size ?? length)) best = { base, delta, size };
      if (size <= length * goodShare) break;
    }
    return best;
  }

  function pack(event: WholeEvent, sequence: number): StoredEvent {
    if (event.kind !== "output" || event.json.length < leastCharacters) return event;
    const best = bestFor(event);
    const { json, ...head } = event;
    const { since, writtenBefore, links } = best?.base ?? { since: sequence, writtenBefore: written, links: -1 };
    const kept = { sequence, namespace: namespaceOf(event), text: json, since, writtenBefore, links: links + 1 };
    recent.put(event, kept);
    return best ? { ...head, delta: best.delta, base: best.base.sequence, since } : event;
  }

  return (events, first) =>
    events.map((event, place) => {
      const packed = pack(event, first + place);
      written += charactersOf(packed);
      return packed;
    });
}
