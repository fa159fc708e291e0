import { parseArgs } from "node:util";
import { median, percentile } from "./peers/samples.ts";
import { cancels, followers, type OwnAndOther, waiters } from "./servers/between.ts";
import { startCluster } from "./servers/cluster.ts";
import { idle } from "./servers/idle.ts";
import { type Figures, tableOf } from "./servers/table.ts";
import { takeOver } from "./servers/take-over.ts";

/** What several servers on one database owe each other. See README.md beside this file. */
const { values } = parseArgs({
  options: { servers: { type: "string", default: "2,3,16" }, lease: { type: "string", default: "10000" } },
});
const mostCrowded = 3;
const leaseMs = Number(values.lease);
const columns: { servers: number; figures: Figures }[] = [];
for (const servers of values.servers.split(",").map(Number)) {
  columns.push({ servers, figures: await measure(servers) });
}
console.log(tableOf(columns, leaseMs));

async function measure(servers: number): Promise<Figures> {
  const cluster = await startCluster(servers, leaseMs);
  const tell = (what: string) => console.error(`${servers} servers: ${what}`);
  try {
    const { own, driver, says } = await idle(cluster, 20_000);
    tell(`at rest ${says}`);
    const figures: Figures = { "idle own": own, "idle driver": driver };
    for (const [name, what, times] of [
      ["cancel", cancels, 60],
      ["follow", followers, 12],
      ["wait", waiters, 40],
    ] as const) {
      Object.assign(figures, figuresOf(name, await what(cluster, times)));
      tell(`${name} is measured`);
    }
    const alone = [await takeOver(cluster, 4, 0), await takeOver(cluster, 4, 0)].flat();
    tell("a server without a backlog is taken over");
    Object.assign(figures, { "take-over p50": median(alone), "take-over most": Math.max(...alone) });
    // To fill the places of more servers would keep this machine busy by itself.
    if (servers > mostCrowded) return figures;
    const crowded = await takeOver(cluster, 4, 2_000);
    return { ...figures, "crowded p50": median(crowded), "crowded most": Math.max(...crowded) };
  } finally {
    await cluster.close();
  }
}

function figuresOf(name: "cancel" | "follow" | "wait", { own, other }: OwnAndOther): Figures {
  return {
    [`${name} own p50`]: median(own),
    [`${name} own p99`]: percentile(own, 0.99),
    [`${name} other p50`]: median(other),
    [`${name} other p99`]: percentile(other, 0.99),
    [`${name} more p50`]: median(other) - median(own),
    [`${name} more p99`]: percentile(other, 0.99) - percentile(own, 0.99),
  };
}
