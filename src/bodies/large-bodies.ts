import { type DescMessage, type DescMethod, fromBinary, type Message } from "@bufbuild/protobuf";
import { Piscina } from "piscina";
import { type CanonicalOf, canonicalOf } from "../domain/canonical-json.ts";
import { BodyError, smallBytes, smallValues } from "./body-error.ts";
import type { BodyResult, BodyTask } from "./body-worker.ts";
import type { FoldedBody } from "./fold-json.ts";
import { JsonScan } from "./json-scan.ts";
import type { Codec } from "./light-message.ts";
import { forEachPayload, markChecked } from "./payload-text.ts";
import { countFields } from "./wire-scan.ts";

export interface LargeBodiesOptions {
  /** How many values a body may hold. */
  readonly maxValues: number;
  /** Does a task elsewhere than on this thread, which serves everybody. Rejects with a BodyError when there is no room for it. */
  readonly run: (task: BodyTask) => Promise<BodyResult>;
}

/**
 * Reads bodies that would hold up everybody else. The time that a body takes goes with the values in it, and less with its bytes:
 * where it is not small in both, it is read by a thread of its own, which leaves the payloads as the text that they are.
 */
export interface LargeBodies {
  /** True for JSON that is small enough to be read at once. Throws BodyError for what is too deep. */
  isSmallJson(bytes: Uint8Array): boolean;
  isSmallMessage(desc: DescMessage, bytes: Uint8Array, codec: Codec): boolean;
  /** Rejects with a BodyError. The bytes are given away. */
  readJson(bytes: Uint8Array, payloads: readonly string[]): Promise<FoldedBody>;
  readMessage(method: DescMethod, bytes: Uint8Array, codec: Codec): Promise<Message>;
  /** See valueBytes. */
  toValues(texts: readonly Uint8Array[], most: number): Promise<readonly (Uint8Array | undefined)[]>;
  /** See canonical-json.ts. */
  readonly canonicalOf: CanonicalOf;
}

export function createLargeBodies({ maxValues, run }: LargeBodiesOptions): LargeBodies {
  async function read(task: BodyTask): Promise<Exclude<BodyResult, { kind: "fault" }>> {
    const result = await run(task);
    if (result.kind === "fault") throw new BodyError(result.fault, result.message, result.field);
    return result;
  }

  return {
    isSmallJson,
    isSmallMessage: (desc, bytes, codec) =>
      codec === "json"
        ? isSmallJson(bytes)
        : bytes.length <= smallBytes && countFields(desc, bytes, smallValues) <= smallValues,

    async readJson(bytes, payloads) {
      const result = await read({ kind: "json", bytes, payloads, maxValues });
      return (result as Extract<BodyResult, { kind: "json" }>).folded;
    },

    async canonicalOf(text) {
      if (text.length <= smallBytes) return canonicalOf(text);
      return ((await read({ kind: "canonical", text })) as Extract<BodyResult, { kind: "canonical" }>).text;
    },

    async toValues(texts, most) {
      const result = await read({ kind: "values", texts, most });
      return (result as Extract<BodyResult, { kind: "values" }>).values;
    },

    async readMessage(method, bytes, codec) {
      const name = `${method.parent.typeName}/${method.name}`;
      const result = await read({ kind: "message", method: name, bytes, codec, maxValues });
      const light = (result as Extract<BodyResult, { kind: "message" }>).bytes;
      const message = fromBinary(method.input, light);
      forEachPayload(method.input, message, ({ encoding }) => {
        if (encoding.case === "json") markChecked(encoding.value);
      });
      return message;
    },
  };
}

function isSmallJson(bytes: Uint8Array): boolean {
  if (bytes.length > smallBytes) return false;
  try {
    new JsonScan(smallValues).push(bytes);
    return true;
  } catch (error) {
    if (error instanceof BodyError && error.fault === "too_large") return false;
    throw error;
  }
}

/** A thread for large bodies. It is started when the first one comes, and ends when none has come for a while. */
export interface BodyThread {
  readonly run: LargeBodiesOptions["run"];
  close(): Promise<void>;
}

/** Bodies that may wait for the thread: some hundred MB at most. */
const maxWaiting = 16;
/** A body of the most values, read as the objects that protobuf makes of them, takes a quarter of this. */
const memoryMb = 1024;

export function createBodyThread(): BodyThread {
  const entry = new URL(`./body-worker.${import.meta.url.endsWith(".js") ? "js" : "ts"}`, import.meta.url);
  let pool: Piscina<BodyTask, BodyResult> | undefined;
  return {
    async run(task) {
      pool ??= new Piscina({
        filename: entry.href,
        minThreads: 0,
        maxThreads: 1,
        idleTimeout: 60_000,
        recordTiming: false,
        resourceLimits: { maxOldGenerationSizeMb: memoryMb },
        env: {},
        execArgv: [],
      });
      // What follows from a body that was read is not turned away again, nor is an answer.
      if ((task.kind === "json" || task.kind === "message") && pool.queueSize >= maxWaiting)
        throw new BodyError("busy", "too many large requests at a time; try again");
      try {
        return await pool.run(task);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") throw error;
        throw new BodyError("too_large", "takes too much memory");
      }
    },
    async close() {
      await pool?.destroy();
    },
  };
}
