import type { Run } from "../domain/run/run.ts";

/** A caller that waits for a run or reads its events. Must be closed when the caller has got its end, or left. */
export interface ThreadPin {
  /** For a run that exists already. False when its temporary thread is being removed: for the caller it is gone. */
  keep(run: Run): Promise<boolean>;
  close(): void;
}
