/** What an owner may have at a time; undefined for as much as there is room for. */
export interface RunsOfOwner {
  /** Runs that are pending or running. */
  readonly live?: number | undefined;
  /** Runs that one server executes. */
  readonly executing?: number | undefined;
}

export type RunsOf = (owner: string) => RunsOfOwner;
