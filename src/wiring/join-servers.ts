import type { NewServer } from "../domain/server.ts";
import type { Foundation } from "./foundation.ts";

/** Tells the other servers of this one, and learns the database's time. */
export async function joinServers(foundation: Foundation): Promise<void> {
  const { stores, beginNewLife, clock, whileAway } = foundation;
  const join = () => beginNewLife((id) => stores.servers.join(asServer(foundation, id)));
  clock.set(await whileAway(join));
}

/** What this server says of itself under that name. */
export function asServer(
  { machine, host }: Foundation,
  id: string,
  children: readonly number[] = host.pids,
): NewServer {
  const { pid, started } = machine.self;
  return { id, machine: machine.name, pid, started, children: [...children], freeSlots: host.freeSlots };
}
