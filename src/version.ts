import { readFileSync } from "node:fs";

/** Run from source, or built into dist/src: a folder deeper, and with another ending. */
const isBuilt = import.meta.url.endsWith(".js");

/** The package's own folder. */
export const packageFolder = new URL(isBuilt ? "../../" : "../", import.meta.url);

/** The version in its package.json. */
export const { version } = JSON.parse(readFileSync(new URL("package.json", packageFolder), "utf8")) as {
  version: string;
};
