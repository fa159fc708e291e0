import { StringDecoder } from "node:string_decoder";
import { attemptContext } from "./attempt-context.ts";

/** A run's line on the process's output: this, the run's id, `fieldEnd`, the line. */
const lineStart = "\x1e";
const fieldEnd = "\x1f";
/** Longer lines are cut: what has no end must not be kept back for ever. */
const maxLineCharacters = 8_192;

type Write = NodeJS.WriteStream["write"];

interface OpenLine {
  readonly decoder: StringDecoder;
  text: string;
}

/**
 * Marks each line that a run's code writes to the stream with the run's id, so that the parent can tell whose it is. Lines of
 * different runs never mix: an unfinished line is kept back until its end, or the run's.
 */
export class RunConsole {
  readonly #write: Write;
  readonly #open = new Map<string, OpenLine>();

  constructor(stream: NodeJS.WriteStream) {
    this.#write = stream.write.bind(stream) as Write;
    stream.write = ((chunk: string | Uint8Array, encoding?: unknown, callback?: unknown) => {
      const runId = attemptContext.getStore()?.runId;
      if (runId === undefined) return (this.#write as (...args: unknown[]) => boolean)(chunk, encoding, callback);
      const written = (typeof encoding === "function" ? encoding : callback) as (() => void) | undefined;
      const bytes =
        typeof chunk === "string"
          ? Buffer.from(chunk, typeof encoding === "string" ? (encoding as BufferEncoding) : "utf8")
          : chunk;
      return this.#add(runId, bytes, written);
    }) as Write;
  }

  /** The run is over: writes what it left without an end of line. */
  finish(runId: string): void {
    const line = this.#open.get(runId);
    this.#open.delete(runId);
    if (line !== undefined && line.text !== "") this.#write(mark(runId, line.text));
  }

  #add(runId: string, bytes: Uint8Array, written: (() => void) | undefined): boolean {
    let line = this.#open.get(runId);
    if (line === undefined) {
      line = { decoder: new StringDecoder("utf8"), text: "" };
      this.#open.set(runId, line);
    }
    const lines = (line.text + line.decoder.write(Buffer.from(bytes))).split("\n");
    line.text = lines.pop() ?? "";
    if (line.text.length > maxLineCharacters) {
      lines.push(line.text);
      line.text = "";
    }
    if (lines.length > 0) return this.#write(lines.map((text) => mark(runId, text)).join(""), written);
    if (written !== undefined) queueMicrotask(written);
    return true;
  }
}

function mark(runId: string, text: string): string {
  return `${lineStart}${runId}${fieldEnd}${text}\n`;
}
