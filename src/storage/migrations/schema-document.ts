import type { Db, Document, Filter } from "mongodb";
import { isDuplicateKey } from "../keys.ts";
import type { Migration } from "./migration.ts";

/** The one document of `meta`: which layout the database has, and who is changing it. */
interface SchemaDocument {
  _id: "schema";
  /**
   * A number; or a text while a migration is under way, or was left half-way, that older servers cannot live with. Those that start
   * refuse what is not their own version, so that none begins meanwhile.
   */
  version: number | string;
  /** The oldest version whose servers may live on; absent when it is the database's own. */
  oldest?: number;
  /** Of a migration that has begun. */
  from?: number;
  to?: number;
  /** Who migrates, and when it last said so. */
  migrator?: string;
  renewed_at?: Date;
  progress?: string;
  /** Where its steps have come to. */
  places?: Record<string, string>;
}

/** A database's layout, as it was when it was read. */
export interface Schema {
  /** While a migration is under way, the one before it. */
  readonly version: number;
  readonly oldest: number;
  /** Of a migration that has begun. */
  readonly to?: number | undefined;
  readonly isBarred: boolean;
  readonly migrator?: { readonly id: string; readonly silentMs: number; readonly progress: string | undefined };
  readonly places: Readonly<Record<string, string>>;
  /** As it is stored. */
  readonly stored: SchemaDocument;
}

export type SchemaStore = ReturnType<typeof createSchemaStore>;

export function createSchemaStore(db: Db) {
  const meta = db.collection<SchemaDocument>("meta");
  const _id = "schema";

  async function update(filter: Filter<SchemaDocument>, change: Document | Document[]): Promise<boolean> {
    return (await meta.updateOne({ _id, ...filter }, change)).matchedCount === 1;
  }

  return {
    async read(): Promise<Schema | undefined> {
      const withTime = [{ $match: { _id } }, { $set: { read_at: "$$NOW" } }];
      const [found] = await meta.aggregate<SchemaDocument & { read_at: Date }>(withTime).toArray();
      return found && toSchema(found);
    },

    /** none → this version. Where several do so at once, the first one's stands. */
    async stamp(version: number): Promise<void> {
      await meta.insertOne({ _id, version }).catch((error: unknown) => {
        if (!isDuplicateKey(error)) throw error;
      });
    },

    /** At rest, or left by another → migrated by this one. Guard: nobody else has begun, or shown that it goes on, since it was read. */
    take({ stored, version }: Schema, { to, olderServers }: Migration, id: string): Promise<boolean> {
      const { migrator, renewed_at } = stored;
      const unchanged =
        migrator === undefined
          ? { version: stored.version, migrator: { $exists: false } }
          : { version: stored.version, migrator, renewed_at: renewed_at! };
      const shown = olderServers === "refuse" ? `${version} to ${to}` : version;
      return update(unchanged, [{ $set: { version: shown, from: version, to, migrator: id, renewed_at: "$$NOW" } }]);
    },

    /** Guard, as of all that follow: it is migrated by this one. */
    renew(id: string, progress: string): Promise<boolean> {
      // A text from elsewhere is no expression.
      return update({ migrator: id }, [{ $set: { renewed_at: "$$NOW", progress: { $literal: progress } } }]);
    },

    reached(id: string, step: string, place: string): Promise<boolean> {
      return update({ migrator: id }, { $set: { [`places.${step}`]: place } });
    },

    /** Migrated → the new version. */
    finish(id: string, { to }: Migration, oldest: number): Promise<boolean> {
      const own = oldest === to;
      return update(
        { migrator: id },
        { $set: { version: to, ...(!own && { oldest }) }, $unset: { ...underWay, ...(own && { oldest: "" }) } },
      );
    },

    /** Migrated → to be gone on with by whoever comes next. */
    leave(id: string): Promise<boolean> {
      return update({ migrator: id }, { $unset: { migrator: "", renewed_at: "", progress: "" } });
    },

    /** Migrated → to be done once more from its beginning. */
    leaveAfresh(id: string): Promise<boolean> {
      return update({ migrator: id }, { $unset: { migrator: "", renewed_at: "", progress: "", places: "" } });
    },

    /** Migrated → as it was before, since nothing of it has been done. */
    undo(id: string, version: number): Promise<boolean> {
      return update({ migrator: id }, { $set: { version }, $unset: underWay });
    },
  };
}

const underWay = { from: "", to: "", migrator: "", renewed_at: "", progress: "", places: "" };

function toSchema({ read_at, ...stored }: SchemaDocument & { readonly read_at: Date }): Schema {
  const { from, to, oldest, migrator, renewed_at, progress, places = {} } = stored;
  const version = from ?? (stored.version as number);
  const silentMs = read_at.getTime() - (renewed_at?.getTime() ?? 0);
  return {
    version,
    oldest: oldest ?? version,
    to,
    isBarred: typeof stored.version === "string",
    ...(migrator !== undefined && { migrator: { id: migrator, silentMs, progress } }),
    places,
    stored,
  };
}
