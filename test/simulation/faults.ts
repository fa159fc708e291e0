import type { Weather } from "./engine/network.ts";
import type { Fault, Schedule } from "./schedule.ts";
import type { SimulatedServer } from "./simulated-server.ts";
import type { Timeline } from "./time/timeline.ts";

export interface FaultParts {
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly schedule: Schedule;
  /** By their places; another one stands there after each start. */
  readonly servers: readonly SimulatedServer[];
  readonly start: (place: number) => void;
}

const fairWeather: Weather = { loss: 0, stalls: 0 };

/** Makes go wrong what the schedule says. */
export function createFaults({ timeline, random, schedule, servers, start }: FaultParts) {
  const { faults, weather, calmAtMs } = schedule;
  const cutUntil = new Map<number, number>();
  let underWay = faults.length;
  for (const fault of faults) timeline.schedule(fault.atMs, undefined, `fault: ${fault.kind}`, () => begin(fault));

  function begin({ kind, place, forMs }: Fault): void {
    const server = servers[place]!;
    const after = (what: string, happen: () => void) =>
      timeline.schedule(forMs, undefined, `end of fault: ${what}`, () => {
        underWay -= 1;
        happen();
      });
    const isThere = server.process.state !== "dead";
    switch (kind) {
      case "crash":
        if (isThere) server.die();
        after("it starts again", () => servers[place] === server && start(place));
        break;
      case "restart":
        if (server.process.state === "running" && server.api()) {
          timeline.current.run(server.process, () => void server.drain().then(() => server.die()));
        }
        // One that does not end by itself is killed.
        after("it starts again", () => {
          if (servers[place] !== server) return;
          if (server.process.state !== "dead") server.die();
          start(place);
        });
        break;
      case "pause":
        server.process.stop();
        after("it goes on", () => server.process.goOn(false));
        break;
      case "suspend": {
        const isClockStopped = random() < 0.5;
        const all = [server.process, ...server.host.processes];
        for (const process of all) process.stop();
        after("its machine goes on", () => {
          for (const process of all) process.goOn(isClockStopped);
        });
        break;
      }
      case "cut":
        cutUntil.set(place, timeline.elapsed + forMs);
        after("it can be heard", () => undefined);
        break;
      case "child":
        if (isThere) server.host.crashOne();
        after("nothing", () => undefined);
        break;
    }
  }

  return {
    weather: (): Weather => (timeline.elapsed < calmAtMs ? weather : fairWeather),
    isCutOff: (place: number): boolean => (cutUntil.get(place) ?? 0) > timeline.elapsed,
    areOver: (): boolean => underWay === 0,
  };
}
