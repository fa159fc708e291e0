import { DomainError } from "../domain/errors.ts";
import type { Inspect, StoragePort } from "./attempt-host.ts";
import { InspectionProcess, type InspectionSettings, ProcessLostError, unreadable } from "./child-inspection.ts";
import type { GraphReport, GraphSpec, Inspection, InspectionAnswer } from "./protocol.ts";

/** Loads the graphs and reads and edits states with them, in a process that executes no run. */
export interface Inspector {
  /** Loads every graph and reports the broken ones. It never rejects for a graph's sake. */
  load(graphs: readonly GraphSpec[]): Promise<readonly GraphReport[]>;
  /**
   * Rejects with a DomainError GRAPH_UNAVAILABLE when the graph cannot answer, and with GRAPH_TIMEOUT when it does not in time; the
   * process is then replaced. While a question keeps its process from turning, the others go on in processes of their graphs' own. An edit writes through the journal's port, once
   * at most, and is refused by the graph with INVALID_FIELD.
   */
  readonly inspect: Inspect;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const shortLifeMs = 5_000;
/** Processes for one graph alone, and how long each is kept without a question. */
const maxLanes = 4;
const laneKeptMs = 15_000;
/** With those that stand still until their time is over. */
const maxProcesses = 10;

export function createInspector(settings: InspectionSettings): Inspector {
  /** Processes that are not gone yet. */
  const processes = new Set<InspectionProcess>();
  /** Of graphs that had a question in a process that stood still: each has one where it can only keep itself. */
  const lanes = new Map<string, InspectionProcess>();
  let current: InspectionProcess | undefined;
  let usable: readonly GraphSpec[] = [];
  let reports: readonly GraphReport[] = [];
  let stopped = false;

  function start(graphs: readonly GraphSpec[]): InspectionProcess {
    if (stopped) throw shuttingDown();
    const started = new InspectionProcess(settings, graphs);
    processes.add(started);
    void started.gone.then(() => processes.delete(started));
    return started;
  }

  /** Makes it the one that is asked, and replaces it when it ends. */
  function employ(started: InspectionProcess): InspectionProcess {
    current = started;
    const since = performance.now();
    const replace = () => {
      // One that ends soon, or cannot even start, is replaced when it is next needed: no race of starts and ends.
      if (stopped || current !== started || performance.now() - since < shortLifeMs) return;
      try {
        employ(start(usable));
      } catch (error) {
        settings.log.warn({ err: error }, "The inspector could not be replaced yet");
      }
    };
    void started.gone.then(replace);
    return started;
  }

  function laneOf(graph: string): InspectionProcess | undefined {
    const there = lanes.get(graph);
    if (there && !there.ended) return there;
    if (lanes.size >= maxLanes) {
      const [unused] = [...lanes].find(([, lane]) => !lane.hasQuestions) ?? [];
      if (unused === undefined) return undefined;
      lanes.get(unused)!.kill();
      lanes.delete(unused);
    }
    const lane = start(usable.filter(({ name }) => name === graph));
    lane.keep(laneKeptMs);
    lanes.set(graph, lane);
    void lane.gone.then(() => {
      if (lanes.get(graph) === lane) lanes.delete(graph);
    });
    return lane;
  }

  async function ask(storage: StoragePort | undefined, inspection: Inspection): Promise<InspectionAnswer> {
    const lane = lanes.get(inspection.graph);
    if (lane && !lane.ended) return askIn(lane, storage, inspection);
    const asked = await ready(inspection);
    const answer = asked.inspect(storage, inspection);
    // An edit is asked for once.
    if (inspection.kind === "update") return answer;
    const answered = answer.then(
      () => true,
      () => true,
    );
    if (await Promise.race([answered, asked.stalled.then(() => false)])) return answer;
    if (processes.size >= maxProcesses) return answer;
    if (current === asked) employ(start(usable));
    asked.keep(0);
    return askIn(laneOf(inspection.graph) ?? (await ready(inspection)), storage, inspection);
  }

  async function askIn(
    asked: InspectionProcess,
    storage: StoragePort | undefined,
    inspection: Inspection,
  ): Promise<InspectionAnswer> {
    await asked.loaded;
    return asked.inspect(storage, inspection);
  }

  async function loadAlone(graph: GraphSpec): Promise<GraphReport> {
    let alone: InspectionProcess | undefined;
    try {
      alone = start([graph]);
      const [report] = await alone.loaded;
      return report ?? { name: graph.name, problem: `The graph "${graph.name}" of ${graph.file} was not reported` };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { name: graph.name, problem: `The graph "${graph.name}" of ${graph.file} cannot be loaded: ${why}` };
    } finally {
      alone?.kill();
    }
  }

  async function ready(inspection: Inspection): Promise<InspectionProcess> {
    if (stopped) throw shuttingDown();
    const problem = reports.find(({ name }) => name === inspection.graph)?.problem;
    if (problem !== undefined) throw unreadable(inspection, problem);
    const asked = current === undefined || current.ended ? employ(start(usable)) : current;
    await asked.loaded;
    return asked;
  }

  return {
    async load(graphs) {
      try {
        const first = start(graphs);
        employ(first);
        reports = await first.loaded;
        usable = graphs.filter(({ name }) => reports.find((report) => report.name === name)?.problem === undefined);
      } catch (error) {
        if (stopped) throw shuttingDown();
        // Some graph hangs or ends the process when it is loaded. Alone, each shows whether it is the one.
        settings.log.warn({ err: error }, "The graphs cannot be loaded together; each is tried alone");
        const tried: GraphReport[] = [];
        for (const graph of graphs) tried.push(await loadAlone(graph));
        reports = tried;
        usable = graphs.filter(({ name }) => tried.find((report) => report.name === name)?.problem === undefined);
        if (stopped) throw shuttingDown();
        if (usable.length > 0) employ(start(usable));
      }
      return reports;
    },

    async inspect(storage, inspection) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return (await ask(storage, inspection)) as never;
        } catch (error) {
          if (!(error instanceof ProcessLostError)) throw error;
          if (stopped) throw shuttingDown();
          if (attempt < 2) continue;
          throw unreadable(inspection, error.message, error.wasSlow ? "GRAPH_TIMEOUT" : "GRAPH_UNAVAILABLE");
        }
      }
    },

    get pids() {
      return [...processes].map(({ pid }) => pid);
    },

    async stop() {
      stopped = true;
      for (const each of processes) each.kill();
      await Promise.all([...processes].map(({ gone }) => gone));
    },
  };
}

function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "The server is shutting down");
}
