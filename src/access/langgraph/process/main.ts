/** The entry of the process in which an auth file runs. It has no database and no secrets but those that are meant for it. */
import { startWatchdog } from "../../../worker/child/watchdog.ts";
import type { FromProcess, ToProcess } from "../messages.ts";
import { type LoadedAuth, loadAuth } from "./load-auth.ts";
import { authenticate, authorize } from "./run-handlers.ts";

await startWatchdog();

const send = (message: FromProcess) => process.send?.(message);

async function start({ spec, secrets }: Extract<ToProcess, { type: "start" }>): Promise<void> {
  Object.assign(process.env, secrets);
  let auth: LoadedAuth;
  try {
    auth = await loadAuth(spec);
  } catch (error) {
    send({ type: "unusable", problem: error instanceof Error ? error.message : String(error) });
    return;
  }
  process.on("message", (message: ToProcess) => void answer(message, auth));
  send({ type: "ready", handlers: Object.keys(auth.callbacks) });
}

async function answer(message: ToProcess, auth: LoadedAuth): Promise<void> {
  if (message.type === "ping") send({ type: "pong" });
  else if (message.type === "authenticate")
    send({ type: "answer", id: message.id, answer: await authenticate(message, auth) });
  else if (message.type === "authorize")
    send({ type: "answer", id: message.id, answer: await authorize(message, auth) });
}

process.once("message", (message: ToProcess) => {
  if (message.type === "start") void start(message);
});
