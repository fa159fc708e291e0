import type { Db } from "mongodb";

/**
 * A change of how things are stored, which runs once on each database. What the new code reads as it is needs no rewriting, and is
 * none of it.
 *
 * It may be begun again at any time: by another server, after a crash between any two writes, while late writes of the one before may
 * still land. So each of its writes names the old form in its filter and makes the new form of it, and none brings back what somebody
 * may have removed since.
 */
export interface Migration {
  readonly from: number;
  readonly to: number;
  /** What it does, as a sentence for whoever starts the server. */
  readonly is: string;
  /**
   * Whether servers of the older version may live on while it runs and after it: "refuse" if they would misread what it leaves, or
   * newer servers would misread what they write. It begins when none lives any more, and none starts from then on.
   */
  readonly olderServers: "refuse" | "go on";
  readonly migrate: (db: Db, work: MigrationWork) => Promise<void>;
}

/** What a migration is told while it runs, and tells. */
export interface MigrationWork {
  /** Aborted when it must end: its server ends, or others have taken it over. */
  readonly signal: AbortSignal;
  /** How far it has come, for those who wait. */
  readonly progress: (sentence: string) => void;
  /** Where an earlier try of a step has come to. */
  readonly placeOf: (step: string) => string | undefined;
  /** Stores where a step has come to. Rejects when the migration is another's by now. A step is named without dots. */
  readonly reached: (step: string, place: string) => Promise<void>;
}
