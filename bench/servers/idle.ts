import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";

/** Commands a second of one server that has nothing to do: its own, and those of the driver's monitors. */
export interface Idle {
  readonly own: number;
  readonly driver: number;
  /** The most frequent ones, for people. */
  readonly says: string;
}

/** What the driver sends by itself. */
export const driverCommands = ["hello", "isMaster", "ismaster", "saslStart", "saslContinue", "endSessions", "ping"];

export async function idle(cluster: Cluster, forMs: number): Promise<Idle> {
  const before = await cluster.commands();
  await sleep(forMs);
  const after = await cluster.commands();
  const perSecond = (count: number) => count / (forMs / 1000) / cluster.servers.length;
  const rates = Object.entries(after)
    .map(([name, count]) => ({ name, rate: perSecond(count - (before[name] ?? 0)) }))
    .filter(({ rate }) => rate > 0)
    .sort((a, b) => b.rate - a.rate);
  const sum = (isDriver: boolean) =>
    rates.reduce((all, { name, rate }) => (driverCommands.includes(name) === isDriver ? all + rate : all), 0);
  const says = rates.map(({ name, rate }) => `${name} ${rate.toFixed(2)}`).join(", ");
  return { own: sum(false), driver: sum(true), says };
}
