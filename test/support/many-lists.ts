import { wantedTestEngine } from "./embedded-options.ts";

/** How many random collections lists are held against. SecantusDB's Python server reads all that there are for each page. */
export const manyLists = wantedTestEngine() === "secantusd-py" ? 10 : 40;

export const hour = 3_600_000;
/** Some weeks ago: around it all that is listed was made. */
export const base = Date.now() - 1_000 * hour;

let owners = 0;
/** One whom nothing belongs to yet. */
export const newOwner = (): string => `owner-${owners++}`;
