import { type Outcome, simulate } from "./simulation.ts";

const ids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Plays schedules one after the other, and tells of those in which a law was broken. Exit code 1 if there was one. */
export async function playMany(from: number, count: number, untilBroken: boolean): Promise<void> {
  // What is lost on the way fails with thousands of errors, whose traces nobody reads.
  Error.stackTraceLimit = 0;
  const began = process.hrtime.bigint();
  const sum = { played: 0, runs: 0, events: 0 };
  for (let seed = from; seed < from + count; seed++) {
    const { broken, runs, events } = await simulate(seed);
    sum.played += 1;
    sum.runs += runs;
    sum.events += events;
    if (broken.length === 0) continue;
    process.exitCode = 1;
    console.log(`seed ${seed}: ${broken.join("; ")}`);
    if (untilBroken) break;
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage();
  const cpu = ((user + system) / 1000 / sum.played).toFixed(0);
  const perMinute = ((sum.played / seconds) * 60).toFixed(0);
  console.log(
    `${sum.played} schedules with ${sum.runs} runs and ${sum.events} events: ${perMinute} a minute, ${cpu} ms of a core each`,
  );
}

/** Plays one schedule and prints it: the last lines of its history, or of those that are about something. */
export async function playOne(seed: number, count: number, about: string): Promise<void> {
  const { schedule, broken, lines, hash, events }: Outcome = await simulate(seed, true);
  const names = new Map<string, string>();
  const short = (text: string) =>
    text.replace(ids, (id) => {
      if (!names.has(id)) names.set(id, `#${names.size + 1}`);
      return names.get(id)!;
    });
  const wanted = about === "" ? /./ : new RegExp(`(${about})(?![0-9])|fault|BROKEN`);
  const shown = lines.map(short).filter((line) => !line.endsWith(": interval") && wanted.test(line));
  console.log(JSON.stringify({ ...schedule, wishesAt: schedule.wishesAt.length }));
  for (const line of shown.slice(-count)) console.log(line);
  console.log(`seed ${seed}: ${events} events, history ${hash.toString(16)}`);
  for (const one of broken) console.log(`BROKEN ${short(one)}`);
  if (broken.length > 0) process.exitCode = 1;
}
