import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { type RunEvent, RunEventSchema } from "../../../gen/reins/v1/run_event_pb.ts";
import { type Run, RunSchema, RunSpecSchema, RunStatus } from "../../../gen/reins/v1/run_pb.ts";
import type {
  GetRunRequest,
  JoinRunStreamRequest,
  ListRunsRequest,
  ListRunsResponse,
} from "../../../gen/reins/v1/run_service_pb.ts";
import { anybody } from "../../../src/access/identity.ts";
import { DomainError } from "../../../src/domain/errors.ts";
import type { Invoke } from "../../../src/rest/invoke.ts";
import { readQuery } from "../../../src/rest/read-query.ts";
import type { RestRequest } from "../../../src/rest/route.ts";
import { threadStreamRoutes } from "../../../src/rest/routes/thread-stream.ts";
import { createRunCreated } from "../../../src/rest/thread-stream/run-created.ts";

const threadId = crypto.randomUUID();
const idOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
const { PENDING, RUNNING, SUCCESS, INTERRUPTED } = RunStatus;

/** A thread with runs that are only said to be; each began and ended at its number, and was created then if not told otherwise. */
function createThread() {
  const runs = new Map<string, Run>();
  const runCreated = createRunCreated();
  const happened: string[] = [];
  const over = new Map<string, PromiseWithResolvers<void>>();

  const position = (run: Run) => [timestampMs(run.createdAt!), run.runId] as const;
  function list({ statuses, pageSize, pageToken, omitSpec }: ListRunsRequest): Partial<ListRunsResponse> {
    happened.push(omitSpec ? "list" : "list with specs");
    const all = [...runs.values()]
      .filter(({ status }) => statuses.length === 0 || statuses.includes(status))
      .sort((a, b) => position(b)[0] - position(a)[0] || (position(b)[1] < position(a)[1] ? -1 : 1));
    const rest = pageToken === "" ? all : all.filter((run) => position(run)[0] < Number(pageToken));
    const page = rest.slice(0, pageSize || 20);
    const nextPageToken = rest.length > page.length ? String(position(page.at(-1)!)[0]) : "";
    return { runs: page.map((run) => ({ ...run, spec: omitSpec ? undefined : run.spec })), nextPageToken };
  }
  function get(runId: string): Run {
    const run = runs.get(runId);
    if (!run) throw new DomainError("RUN_NOT_FOUND", "gone");
    return run;
  }

  /** Runs whose events have expired, the last of which was their second. */
  const expired = new Set<string>();

  async function* join({
    runId,
    fromNow,
    afterSequence,
  }: JoinRunStreamRequest): AsyncGenerator<{ events: RunEvent[] }> {
    const { status } = get(runId);
    if (expired.has(runId) && afterSequence < 2n)
      throw new DomainError("SEQUENCE_OUT_OF_RANGE", "no longer kept", { metadata: { last_sequence: "2" } });
    if (expired.has(runId)) return yield { events: [event(3, { case: "ended", value: { status: SUCCESS } })] };
    happened.push(`tail of ${Number(runId.slice(-12))}${fromNow ? " from now" : ""}`);
    if (fromNow) yield { events: [] };
    if (fromNow || afterSequence === 0n) yield { events: [event(1, { case: "created", value: {} })] };
    if (status === PENDING || status === RUNNING) await over.get(runId)!.promise;
    yield { events: [event(2, { case: "ended", value: { status: SUCCESS } })] };
  }

  const invoke = {
    async call(method: { name: string }, request: object) {
      // As the real calls, each takes a moment.
      await new Promise(setImmediate);
      if (method.name === "ListRuns") return list(request as ListRunsRequest);
      if (method.name === "GetRun") return { run: get((request as GetRunRequest).runId) };
      return {};
    },
    stream: (_: unknown, request: JoinRunStreamRequest) => join(request),
  } as unknown as Invoke;

  return {
    happened,
    runCreated: () => runCreated.notify({ owner: anybody.owner, threadId }),
    add(number: number, more: { status?: RunStatus; createdAt?: number; startedAt?: number | null } = {}): void {
      const { status = SUCCESS, createdAt = number, startedAt = number } = more;
      const isLive = status === PENDING || status === RUNNING;
      const runId = idOf(number);
      if (isLive) over.set(runId, Promise.withResolvers());
      const run = create(RunSchema, { runId, threadId, status, attempt: 1, createdAt: timestampFromMs(createdAt) });
      run.spec = create(RunSpecSchema, {});
      run.startedAt = startedAt === null ? undefined : timestampFromMs(startedAt);
      run.endedAt = isLive ? undefined : timestampFromMs(number);
      runs.set(runId, run);
    },
    end(number: number): void {
      const run = runs.get(idOf(number))!;
      runs.set(run.runId, { ...run, status: SUCCESS, endedAt: timestampFromMs(number) });
      over.get(run.runId)!.resolve();
    },
    expire: (number: number) => void expired.add(idOf(number)),
    remove: (number: number) => void runs.delete(idOf(number)),
    /** Follows it as a client of the route does; answers the numbers of the runs, as each begins or ends to be told. */
    async follow(last?: string) {
      const leaving = new AbortController();
      const [route] = threadStreamRoutes({ graphs: [], runCreated, shutdownSignal: leaving.signal });
      const answer = await route!.handle({
        params: { thread_id: threadId },
        query: readQuery(new URLSearchParams()),
        body: undefined,
        header: () => last,
        identity: anybody,
        invoke,
        signal: leaving.signal,
      } as RestRequest);
      if (answer.kind !== "events") throw new Error(answer.kind);
      const texts = answer.events(() => void happened.push("known"))[Symbol.asyncIterator]();
      async function next(): Promise<{ told: string; id: string }> {
        const { value } = await texts.next();
        const [, id] = /^id: (.*?)\r?$/m.exec(value)!;
        return { told: `${value.includes("run_done") ? "end" : "begin"} ${Number(id!.split("-")[5])}`, id: id! };
      }
      async function take(count: number): Promise<number[]> {
        const numbers: number[] = [];
        while (numbers.length < count) {
          const [what, number] = (await next()).told.split(" ");
          if (what === "end") numbers.push(Number(number));
        }
        return numbers;
      }
      return {
        next,
        take,
        async leave() {
          leaving.abort(new Error("left"));
          await texts.next().catch(() => {});
        },
      };
    },
  };
}

const event = (sequence: number, of: { case: string; value: object }): RunEvent =>
  create(RunEventSchema, { sequence: BigInt(sequence), event: of as RunEvent["event"] });
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, place) => first + place);

describe("the stream of a thread", () => {
  it("tells all of many runs", async () => {
    const thread = createThread();
    for (const number of range(1, 250)) thread.add(number);
    const reader = await thread.follow("-1");
    expect(await reader.take(250)).toEqual(range(1, 250));
    await reader.leave();
  });

  it("goes on behind the end of a run that its reader has seen, and does not tell it again", async () => {
    const thread = createThread();
    thread.add(1);
    thread.add(2);
    const first = await thread.follow("-1");
    const [, end] = [await first.next(), await first.next()];
    await first.leave();
    const second = await thread.follow(end.id);
    expect([(await second.next()).told, (await second.next()).told]).toEqual(["begin 2", "end 2"]);
    await second.leave();
  });

  it("tells beginning and end of a run whose events have expired", async () => {
    const thread = createThread();
    thread.add(1);
    thread.expire(1);
    thread.add(2);
    const reader = await thread.follow("-1");
    const told = [await reader.next(), await reader.next(), await reader.next()].map((one) => one.told);
    expect(told).toEqual(["begin 1", "end 1", "begin 2"]);
    await reader.leave();
  });

  it("tells many runs that come while its reader takes nothing", async () => {
    const thread = createThread();
    thread.add(1, { status: RUNNING });
    const reader = await thread.follow();
    await reader.next();
    thread.end(1);
    for (const number of range(2, 300)) thread.add(number);
    expect(await reader.take(300)).toEqual(range(1, 300));
    await reader.leave();
  });

  it("tells no run that was over before, whichever ones disappear", async () => {
    const thread = createThread();
    for (const number of range(1, 250)) thread.add(number);
    const reader = await thread.follow();
    const first = reader.take(1);
    await expect.poll(() => thread.happened).toContain("known");
    for (const number of range(101, 200)) thread.remove(number);
    thread.add(251);
    thread.runCreated();
    expect(await first).toEqual([251]);
    await reader.leave();
  });

  it("remembers what it has told for as long as it takes", async () => {
    const thread = createThread();
    for (const number of range(1, 1500)) thread.add(number);
    const reader = await thread.follow("-1");
    expect(await reader.take(1500)).toEqual(range(1, 1500));
    for (const number of range(1000, 1490)) thread.remove(number);
    const next = reader.take(1);
    thread.add(1501);
    thread.runCreated();
    expect(await next).toEqual([1501]);
    await reader.leave();
  });

  it("tells an old run that was delayed, and those from a server whose clock is behind", async () => {
    const thread = createThread();
    for (const number of range(1, 250)) thread.add(number);
    thread.add(251, { status: PENDING, createdAt: 0, startedAt: null });
    const reader = await thread.follow();
    const all = reader.take(3);
    await expect.poll(() => thread.happened).toContain("known");
    thread.add(251, { createdAt: 0 });
    thread.add(252, { createdAt: 240 });
    thread.add(253, { createdAt: 100, status: RUNNING });
    thread.runCreated();
    await expect.poll(() => thread.happened).toContain("tail of 253");
    thread.end(253);
    expect(await all).toEqual([251, 252, 253]);
    await reader.leave();
  });

  it("reads what runs were given only of those that it tells", async () => {
    const thread = createThread();
    for (const number of range(1, 3)) thread.add(number);
    const reader = await thread.follow("-1");
    await reader.take(3);
    await reader.leave();
    expect(thread.happened).toContain("list");
    expect(thread.happened).not.toContain("list with specs");
  });

  it("is known to its client when it has seen what there is", async () => {
    const thread = createThread();
    thread.add(1);
    const reader = await thread.follow();
    const first = reader.take(1);
    await expect.poll(() => thread.happened).toContain("known");
    // The newest runs, and the live ones.
    expect(thread.happened.slice(0, thread.happened.indexOf("known"))).toEqual(["list", "list"]);
    // What the client starts now is told from its first event on.
    thread.add(2, { status: RUNNING });
    thread.runCreated();
    await expect.poll(() => thread.happened).toContain("tail of 2");
    thread.end(2);
    expect(await first).toEqual([2]);
    await reader.leave();
  });

  it("is known to its client when it listens to the run that is under way", async () => {
    const thread = createThread();
    thread.add(1, { status: RUNNING });
    const reader = await thread.follow();
    await reader.next();
    expect(thread.happened.indexOf("known")).toBeGreaterThan(thread.happened.indexOf("tail of 1 from now"));
    thread.end(1);
    await reader.leave();
  });

  it("tells a run that was handed back before one that was cancelled meanwhile", async () => {
    const thread = createThread();
    thread.add(5, { status: PENDING });
    thread.add(7, { status: INTERRUPTED, startedAt: null });
    const reader = await thread.follow("-1");
    const begun = await reader.next();
    expect(begun.told).toBe("begin 5");
    thread.end(5);
    expect(await reader.take(2)).toEqual([5, 7]);
    await reader.leave();
  });

  it("tells a run that is under way to a reader whose last event has a later time", async () => {
    const thread = createThread();
    thread.add(5, { status: RUNNING });
    thread.add(7, { status: INTERRUPTED, startedAt: null });
    const reader = await thread.follow(`7-${idOf(7)}-2`);
    expect((await reader.next()).told).toBe("begin 5");
    thread.end(5);
    await reader.leave();
  });
});
