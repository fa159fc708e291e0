/** The entry of a child process: loads graphs, executes attempts of runs, reads states. It has no database and no secrets. */
import { giveMemoryBackAtRest } from "../../give-memory-back.ts";
import { serveParent } from "./serve-parent.ts";
import { startWatchdog } from "./watchdog.ts";

await startWatchdog();
giveMemoryBackAtRest();
serveParent();
