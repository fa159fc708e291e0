/** The database's time and the ends of this server's leases, as the last heartbeat has brought them. */
export interface LeaseClock {
  /** The database's time, by the local monotonic clock; never later than it is. */
  now(): Date;
  /** The end of the leases that are held, as last renewed. */
  heldUntil(): Date;
  /** The database read its clock not after now. */
  set(databaseTime: Date): void;
  /** The leases that are held were renewed. */
  renewed(until: Date): void;
}

/** Goes by this machine's time until the first heartbeat. */
export function createLeaseClock(leaseMs: number, monotonicMs = () => performance.now()): LeaseClock {
  let offsetMs = Date.now() - monotonicMs();
  const now = () => new Date(monotonicMs() + offsetMs);
  let heldUntil = new Date(now().getTime() + leaseMs);
  return {
    now,
    heldUntil: () => heldUntil,
    set(databaseTime) {
      offsetMs = databaseTime.getTime() - monotonicMs();
    },
    renewed(until) {
      heldUntil = until;
    },
  };
}
