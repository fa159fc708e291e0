import { createContextKey } from "@connectrpc/connect";
import type { MetadataFilter } from "../domain/metadata-filter.ts";
import type { NewRun } from "../domain/run/new-run.ts";
import type { InSight } from "../domain/run/read-runs.ts";

/** What of its owner's a caller may see, and what is born of its calls. Absent for a caller who may see all of it. */
export interface Sight {
  /** Of searches and counts. */
  readonly within?: MetadataFilter;
  /** Whatever `within` says, the graphs' own assistants are seen. */
  readonly withGraphs?: boolean;
  /** Of what is about runs of all threads. */
  readonly inSight?: InSight | undefined;
  /** The metadata of the threads that are made: of each run of the request, or of a copy. */
  readonly born?: readonly Readonly<Record<string, unknown>>[];
  readonly mayEnter?: NewRun["mayEnter"];
}

export const sightKey = createContextKey<Sight>({}, { description: "what the caller may see" });
