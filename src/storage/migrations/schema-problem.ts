import type { Db } from "mongodb";
import { DomainError } from "../../domain/errors.ts";
import { schemaVersion } from "./migrations.ts";
import { createSchemaStore } from "./schema-document.ts";

/** Why servers of this version cannot live with the database: it has been migrated, or is being so. Undefined when they can. */
export async function schemaProblem(db: Db, version = schemaVersion): Promise<DomainError | undefined> {
  const schema = await createSchemaStore(db).read();
  if (schema && !schema.isBarred && schema.oldest <= version && version <= schema.version) return undefined;
  const now = schema?.to ?? schema?.version;
  return new DomainError(
    "DATABASE_UNAVAILABLE",
    `The database ${db.databaseName} has gone on to schema version ${now}, and this server works with version ${version}: it must end.`,
  );
}
