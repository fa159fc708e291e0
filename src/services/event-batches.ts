import { answerBytes } from "../domain/read-page.ts";
import type { NumberedEvent } from "../stream/tail.ts";

const messageEvents = 100;

/** Cuts a batch into messages of a sensible size; a larger single event gets one of its own. */
export function* inMessages(batch: readonly NumberedEvent[]): Generator<NumberedEvent[]> {
  let message: NumberedEvent[] = [];
  let bytes = 0;
  for (const event of batch) {
    const size = event.kind === "output" ? event.json.length : 0;
    if (message.length > 0 && (bytes + size > answerBytes || message.length >= messageEvents)) {
      yield message;
      message = [];
      bytes = 0;
    }
    message.push(event);
    bytes += size;
  }
  if (message.length > 0) yield message;
}
