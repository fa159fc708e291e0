import { once } from "node:events";
import { startServer } from "./server.ts";

/** A server of its own whose connections are reset in place of the measured one's: what the machine alone does to the others' calls. */
const app = await startServer();
process.send!(app.port);
await once(process, "message");
await app.stop();
process.disconnect();
