/** A server that uses this database. */
export interface Server {
  /** Made anew at each start. */
  readonly id: string;
  /** Names the operating system's process table that `pid` is in. */
  readonly machine: string;
  readonly pid: number;
  /** When that process started: tells it from a later one with the same id. */
  readonly started: string;
  /** Leaders of the process groups of its children. */
  readonly children: readonly number[];
  /** Runs that it could begin to execute, as of then. */
  readonly freeSlots: number;
  /** When it last said that it lives, by the database's clock. */
  readonly seenAt: Date;
  /** When this was read, by the same clock. */
  readonly readAt: Date;
  /** It has been declared dead: what it had is taken over, and it cannot beat any more. */
  readonly isDead: boolean;
}

/** A server as it says what it is. */
export type NewServer = Omit<Server, "seenAt" | "readAt" | "isDead">;

/** A watch as those ask for it who look whether a run is still watched. */
export interface StoredWatch {
  readonly id: string;
  readonly server: string;
  readonly ifLast: boolean;
  /** Who watches; '' where nobody is known. */
  readonly actor: string;
  readonly left: boolean;
}
