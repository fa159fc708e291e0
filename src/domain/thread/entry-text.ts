import type { RunError } from "../run/run.ts";
import { shortened } from "../shortened.ts";

/** A lane is rewritten with every decision on its thread, so that texts in it are short: their whole is in the run's record. */
const textBytes = 1000;
const nameBytes = 100;

/** The beginning of a text, with how much there was, in at most so many bytes of UTF-8. */
function shortenedToBytes(text: string, bytes: number): string {
  let short = text;
  for (let size = Buffer.byteLength(short); size > bytes; size = Buffer.byteLength(short)) {
    const characters = Math.floor((short.length * bytes) / size);
    short = shortened(text, Math.min(characters, short.length - 1));
  }
  return short;
}

/** Of all that requests allow, 1000 characters, nothing is lost. */
export const shortReason = (reason: string): string => shortenedToBytes(reason, 4 * textBytes);

export const shortError = ({ name, message }: RunError): RunError => ({
  name: shortenedToBytes(name, nameBytes),
  message: shortenedToBytes(message, textBytes - nameBytes),
});

/** Whether an entry keeps the whole of it. */
export const fitsEntry = ({ name, message }: RunError): boolean =>
  Buffer.byteLength(name) <= nameBytes && Buffer.byteLength(message) <= textBytes - nameBytes;
