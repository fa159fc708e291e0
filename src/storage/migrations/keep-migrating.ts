import type { MigrationWork } from "./migration.ts";
import type { Schema, SchemaStore } from "./schema-document.ts";

export interface KeepMigratingOptions {
  readonly schemas: Pick<SchemaStore, "renew" | "reached">;
  /** The migrator's. */
  readonly id: string;
  readonly leaseMs: number;
  readonly schema: Schema;
  readonly signal?: AbortSignal | undefined;
}

/** Thrown out of a migration that another process goes on with. */
export class MigrationTaken extends Error {
  override readonly name = "MigrationTaken";
}

/** Says three times a lease that this migrator goes on, and ends its work when that is not so any more. */
export function keepMigrating({ schemas, id, leaseMs, schema, signal }: KeepMigratingOptions) {
  const lost = new AbortController();
  let told = "";
  let renewedAt = performance.now();
  let renewal = Promise.resolve();

  const isTaken = () => new MigrationTaken("another process has taken the migration over");

  async function renew(): Promise<void> {
    const sent = performance.now();
    try {
      if (await schemas.renew(id, told)) renewedAt = sent;
      else lost.abort(isTaken());
    } catch (error) {
      // The database may be back before others take this one for dead.
      if (performance.now() - renewedAt > leaseMs * 0.8) lost.abort(error);
    }
  }

  const timer = setInterval(() => {
    renewal = renewal.then(renew);
  }, leaseMs / 3);

  return {
    workWith: (progress: (sentence: string) => void): MigrationWork => ({
      signal: signal ? AbortSignal.any([signal, lost.signal]) : lost.signal,
      progress(sentence) {
        told = sentence;
        progress(sentence);
      },
      placeOf: (step) => schema.places[step],
      async reached(step, place) {
        if (!(await schemas.reached(id, step, place))) throw isTaken();
      },
    }),
    async end(): Promise<void> {
      clearInterval(timer);
      await renewal;
    },
  };
}
