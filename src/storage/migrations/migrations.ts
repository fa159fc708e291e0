import type { Migration } from "./migration.ts";
import { toVersion5 } from "./to-version-5.ts";

/** In their order, without a gap: each begins where the one before ends. */
export const migrations: readonly Migration[] = [toVersion5];

/** The layout of the documents that this Reins stores. */
export const schemaVersion: number = migrations.at(-1)!.to;
