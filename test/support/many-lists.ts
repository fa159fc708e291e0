import { wantedTestEngine } from "./embedded-options.ts";

/** How many random collections lists are held against. SecantusDB's Python server reads all that there are for each page. */
export const manyLists = wantedTestEngine() === "secantusd-py" ? 10 : 40;
