import { findBugs } from "./simulation/bugs/find-bugs.ts";

await findBugs(600, [16, 17, 20, 21, 24, 25, 26, 27, 28, 47, 48, 49, 50], 2);
