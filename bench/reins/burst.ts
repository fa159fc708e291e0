import { once } from "node:events";
import { createReinsClient } from "../../src/client/index.ts";

/** Creates a run on each of some threads at once when it is told to, in a process of its own, and says when all are over. */
const [{ url, threads }] = (await once(process, "message")) as [{ url: string; threads: string[] }];
const { runs, threads: connection } = createReinsClient({ baseUrl: url });
await connection.getThread({ threadId: threads[0]! });
process.send!("ready");
await once(process, "message");
await Promise.all(threads.map((threadId) => runs.waitRun({ create: { threadId, spec: { assistantId: "agent" } } })));
process.send!("done");
process.disconnect();
