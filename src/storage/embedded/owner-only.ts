import { chmodSync, writeFileSync } from "node:fs";

/** Nobody but the user that runs the server has anything to do with the files of its database. */
const ownerOnlyFile = 0o600;
const ownerOnlyFolder = 0o700;

/** Writes a file that nobody else can read, also when it was there before. */
export function writeOwnerOnly(path: string, text: string): void {
  writeFileSync(path, text, { mode: ownerOnlyFile });
  chmodSync(path, ownerOnlyFile);
}

/** Closes a folder to others. One that belongs to somebody else is theirs to close. */
export function closeFolder(path: string): void {
  try {
    chmodSync(path, ownerOnlyFolder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw error;
  }
}
