import { readFileSync } from "node:fs";
import { z } from "zod";
import { type AccessSettings, accessFile } from "./access-file.ts";

/** A sentence for the person who starts the server. */
export class AccessFileError extends Error {
  override readonly name = "ConfigError";
}

/** Reads who may call. Throws a sentence for a file that is not there or says something else. */
export function readAccessFile(file: string): AccessSettings {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new AccessFileError(`The access file ${file} cannot be read: ${(error as Error).message}`);
  }
  const { success, data, error } = accessFile.safeParse(json);
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => `${path.join(".") || "the whole"}: ${message}`);
  throw new AccessFileError(`The access file ${file} is not right: ${problems.join("; ")}`);
}

/** What is so without a file. */
export const keysOnly: AccessSettings = z.parse(accessFile, {});
