/** The entry of a child process: loads graphs, executes attempts of runs, reads states. It has no database and no secrets. */
import { serveParent } from "./serve-parent.ts";
import { startWatchdog } from "./watchdog.ts";

await startWatchdog();
serveParent();
