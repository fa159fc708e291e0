import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  BaseCheckpointSaver,
  ChannelVersions,
  Checkpoint,
  CheckpointListOptions,
  CheckpointMetadata,
  CheckpointTuple,
  DeltaChannelHistory,
  PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { checkpointConfig, createCheckpointLoader } from "./checkpoint-loader.ts";
import { checkpointMetadata, metadataFields } from "./checkpoint-metadata.ts";
import { deltaChannelHistory } from "./delta-history.ts";
import { createExactSerde } from "./exact-serde.ts";
import { documentBytes } from "./flush-documents.ts";
import { FlushPump } from "./flush-pump.ts";
import type {
  ChannelValue,
  JournalPort,
  JournalReadQuery,
  PendingWriteRecord,
  SegmentRecord,
  SerializedValue,
  StoredCheckpoint,
} from "./journal-port.ts";
import { KnownValues } from "./known-values.ts";
import { type StoredValue, storeValue } from "./segment-list.ts";
import type { WaitingTasks } from "./waiting-tasks.ts";

export type CheckpointModule = typeof import("@langchain/langgraph-checkpoint");

export interface JournalSaverOptions {
  /** The run whose attempt this is; absent for reads and for updates from outside a run. */
  readonly runId?: string;
  /** Put on every checkpoint. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The run's signal. Once it is aborted, the errors that LangGraph then notes on its tasks are not stored. */
  readonly signal?: AbortSignal;
  /**
   * Puts resolve before they are stored, so that steps that follow each other fast are stored together; `failure` tells after
   * `quiet` whether all were. LangGraph itself awaits puts between steps only with durability `sync`.
   */
  readonly isBehind?: boolean;
  /** For reading a state: told of the tasks that wait for an answer, and answers are kept from LangGraph; see there. */
  readonly waiting?: WaitingTasks;
  /** Called once, when something could not be stored, be it that the attempt has lost its right to write: abort its run. */
  onFailed?(error: unknown): void;
}

/**
 * A LangGraph checkpointer over a journal, for one attempt on one thread. Its channel versions are strings; LangGraph takes
 * both, though its types speak of numbers.
 */
export type JournalSaver = BaseCheckpointSaver & JournalSaverLife;

interface JournalSaverLife {
  /** Why something was not stored. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Resolves when nothing has been under way for two turns of the event loop: LangGraph goes on writing after an abort. */
  quiet(): Promise<void>;
  /** Every later call rejects: what was left running can neither read nor write. */
  close(): void;
}

/**
 * Makes the saver from the copy of `@langchain/langgraph-checkpoint` that the graph itself uses.
 */
export function createJournalSaver(
  checkpointModule: CheckpointModule,
  port: JournalPort,
  options: JournalSaverOptions = {},
): JournalSaver {
  const { BaseCheckpointSaver, ERROR, EXCLUDED_METADATA_KEYS, INTERRUPT, WRITES_IDX_MAP } = checkpointModule;

  class JournalCheckpointSaver extends BaseCheckpointSaver<string> implements JournalSaverLife {
    readonly #serde = createExactSerde(this.serde);
    readonly #known = new KnownValues();
    readonly #pump = new FlushPump((flush) => port.append(flush));
    readonly #loader = createCheckpointLoader({
      checkpointModule,
      serde: this.#serde,
      port,
      firstVersion: () => this.getNextVersion(undefined),
    });
    #threadId: string | undefined;
    readonly #calls = new Set<Promise<unknown>>();
    #closed = false;
    #failure: { readonly error: unknown } | undefined;

    /** Unique, so that a fork's value is never taken for another's; twelve digits first, so that versions sort by age. */
    override getNextVersion(current: string | undefined): string {
      const count = current === undefined ? 1 : Number.parseInt(current, 10) + 1;
      return `${String(count).padStart(12, "0")}.${randomBytes(6).toString("hex")}`;
    }

    override getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
      return this.#call(async () => {
        const { thread_id: threadId, checkpoint_ns: namespace = "" } = config.configurable ?? {};
        if (threadId === undefined) return undefined;
        this.#bind(threadId);
        const checkpointId = checkpointModule.getCheckpointId(config) || undefined;
        await this.#pump.settled(namespace);
        const stored = await port.read({ namespace, checkpointId });
        return (
          stored &&
          this.#loader.load(this.#shown(stored), threadId, (channel, version, value) =>
            this.#known.set(namespace, channel, version, value),
          )
        );
      });
    }

    override async *list(
      config: RunnableConfig,
      listOptions: CheckpointListOptions = {},
    ): AsyncGenerator<CheckpointTuple> {
      const { thread_id: threadId, checkpoint_ns: namespace, checkpoint_id: checkpointId } = config.configurable ?? {};
      const { filter: metadata, before } = listOptions;
      let beforeCheckpointId: string | undefined = before?.configurable?.checkpoint_id;
      if (threadId !== undefined) this.#bind(threadId);
      await this.#pump.settled();
      for (let left = listOptions.limit ?? Number.POSITIVE_INFINITY; left > 0; ) {
        const query = { namespace, checkpointId, beforeCheckpointId, metadata, limit: Math.min(left, pageSize) };
        const page = await this.#call(() => port.list(query));
        for (const stored of page) yield await this.#call(() => this.#loader.load(this.#shown(stored), this.#threadId));
        if (page.length < query.limit) return;
        left -= page.length;
        beforeCheckpointId = page.at(-1)!.checkpointId;
      }
    }

    override put(
      config: RunnableConfig,
      checkpoint: Checkpoint,
      metadata: CheckpointMetadata,
      _newVersions: ChannelVersions,
    ): Promise<RunnableConfig> {
      return this.#call(async () => {
        const { thread_id: threadId, checkpoint_ns: namespace = "", checkpoint_id: parent } = config.configurable ?? {};
        this.#bind(threadId);
        const { channel_values: channelValues, ...rest } = checkpoint;
        const merged = checkpointMetadata({
          config,
          own: metadata,
          ofAttempt: options.metadata ?? {},
          runId: options.runId,
          excluded: EXCLUDED_METADATA_KEYS,
        });
        // Everything is serialized in this turn: a node may change its state's objects later.
        const [body, head, ...channels] = await Promise.all([
          this.#dump(rest, "checkpoint"),
          this.#dump(merged, "metadata"),
          ...Object.entries(channelValues).map(async ([channel, value]) => {
            const version = checkpoint.channel_versions[channel];
            const known = this.#known.get(namespace, channel, version);
            return { channel, version, known, dumped: known ? undefined : await this.#dump(value, channel) };
          }),
        ]);
        // And from here to the pump without a pause: a value must not be built on one that is queued behind it.
        const segments: SegmentRecord[] = [];
        const values: Record<string, ChannelValue> = {};
        for (const { channel, version, known, dumped } of channels) {
          const stored = known ?? this.#store(dumped!, this.#known.latest(namespace, channel), segments);
          this.#known.set(namespace, channel, version, stored);
          values[channel] = stored.value;
        }
        await this.#flush({
          segments,
          checkpoints: [
            {
              namespace,
              checkpointId: checkpoint.id,
              ...(parent !== undefined && { parentCheckpointId: parent }),
              checkpoint: body,
              metadata: head,
              metadataFields: metadataFields(merged),
              values,
            },
          ],
        });
        return checkpointConfig(threadId, namespace, checkpoint.id);
      });
    }

    override putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ""): Promise<void> {
      return this.#call(async () => {
        const {
          thread_id: threadId,
          checkpoint_ns: namespace = "",
          checkpoint_id: checkpointId,
        } = config.configurable ?? {};
        this.#bind(threadId);
        if (checkpointId === undefined) throw new Error("Pending writes need a checkpoint_id in config.configurable");
        const kept = [...writes.entries()].filter(([, [channel]]) => !(channel === ERROR && options.signal?.aborted));
        if (kept.length === 0) return;
        // LangGraph hands over a new question before the answers to the former ones; the journal has them in their true order.
        kept.sort(([, [one]], [, [other]]) => Number(one === INTERRUPT) - Number(other === INTERRUPT));
        const dumped = await Promise.all(
          kept.map(async ([index, [channel, value]]) => ({ index, channel, value: await this.#dump(value, channel) })),
        );
        const segments: SegmentRecord[] = [];
        const records = dumped.map(({ index, channel, value }): PendingWriteRecord => {
          const big = value.bytes.length > maxInlineWriteBytes;
          return {
            namespace,
            checkpointId,
            taskId,
            taskPath,
            index: WRITES_IDX_MAP[channel] || index,
            channel,
            value: big ? this.#store(value, undefined, segments).value : { inline: value },
          };
        });
        await this.#flush({ segments, writes: records });
      });
    }

    override deleteThread(threadId: string): Promise<void> {
      return this.#call(async () => {
        this.#bind(threadId);
        if (!port.clear) throw new Error("A graph cannot delete its thread: use the service's DeleteThread");
        await port.clear();
        this.#known.clear();
      });
    }

    override getDeltaChannelHistory(request: {
      config: RunnableConfig;
      channels: string[];
    }): Promise<Record<string, DeltaChannelHistory>> {
      return this.#call(async () => {
        const { thread_id: threadId, checkpoint_ns: namespace = "" } = request.config.configurable ?? {};
        this.#bind(threadId);
        await this.#pump.settled();
        const load = async (query: JournalReadQuery) => {
          const stored = await port.read({ ...query, includeKept: true });
          return stored && this.#loader.load(stored, threadId);
        };
        const checkpointId = checkpointModule.getCheckpointId(request.config) || undefined;
        return deltaChannelHistory({ namespace, checkpointId, channels: request.channels, load });
      });
    }

    #shown(stored: StoredCheckpoint): StoredCheckpoint {
      if (!options.waiting) return stored;
      return { ...stored, writes: options.waiting.note(stored.writes) };
    }

    get failure(): { readonly error: unknown } | undefined {
      return this.#failure ?? this.#pump.failure;
    }

    async quiet(): Promise<void> {
      for (let calm = 0; calm < 2; calm += 1) {
        await nextTurn();
        if (this.#calls.size === 0 && !this.#pump.busy) continue;
        calm = -1;
        await Promise.allSettled([...this.#calls, this.#pump.settled()]);
      }
    }

    close(): void {
      this.#closed = true;
    }

    async #call<T>(work: () => Promise<T>): Promise<T> {
      if (this.#closed) throw new Error("The attempt is over: its checkpoints are closed");
      const call = work();
      this.#calls.add(call);
      try {
        return await call;
      } finally {
        this.#calls.delete(call);
      }
    }

    /** The port writes to one thread, whatever the config says; so it must say that one. */
    #bind(threadId: unknown): void {
      if (typeof threadId !== "string" || threadId === "") {
        throw new Error("Checkpoints need a thread_id in config.configurable");
      }
      this.#threadId ??= threadId;
      if (threadId !== this.#threadId) {
        throw new Error(`A run on thread ${this.#threadId} cannot use the checkpoints of thread ${threadId}`);
      }
    }

    async #flush(content: Parameters<FlushPump["add"]>[0]): Promise<void> {
      const mayWait = options.isBehind && !this.#pump.failure && this.#pump.waitingBytes < documentBytes;
      const landed = this.#land(content);
      if (!mayWait) return landed;
      landed.catch(() => {});
    }

    async #land(content: Parameters<FlushPump["add"]>[0]): Promise<void> {
      try {
        await this.#pump.add(content);
      } catch (error) {
        throw this.#fail(error);
      }
    }

    #fail(error: unknown): unknown {
      if (!this.#failure) options.onFailed?.(error);
      this.#failure ??= { error };
      return error;
    }

    #store(value: SerializedValue, former: StoredValue | undefined, segments: SegmentRecord[]): StoredValue {
      const stored = storeValue(value, former);
      segments.push(...stored.segments);
      return stored.stored;
    }

    /** The name is that of its channel, for an error. */
    async #dump(value: unknown, name: string): Promise<SerializedValue> {
      try {
        const [type, bytes] = await this.#serde.dumpsTyped(value, name);
        return { type, bytes };
      } catch (error) {
        throw this.#fail(error);
      }
    }
  }

  return new JournalCheckpointSaver() as unknown as JournalSaver;
}

const pageSize = 50;
/** Larger pending writes go into segments, which are cut to what a document holds, and compressed. */
const maxInlineWriteBytes = 1024;
