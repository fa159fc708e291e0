// A graph in plain JavaScript whose work stops well or badly, to see what stopping it does.
//
// Input: {"mode": "polite" | "deaf" | "busy", "ms": 5000, "heartbeat_file": "/tmp/heartbeat"}
//   polite  listens to the signal and stops at once
//   deaf    awaits, but never looks at the signal: the run is over when it has finished, or its process is killed
//   busy    computes without a pause: its process answers nothing at all and is killed
// While it works it appends a line with the time to the file every 20 ms; when the lines end, the work has ended.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({
  mode: Annotation({ reducer: (_, next) => next, default: () => "polite" }),
  ms: Annotation({ reducer: (_, next) => next, default: () => 5_000 }),
  heartbeat_file: Annotation({ reducer: (_, next) => next, default: () => "" }),
  log: Annotation({ reducer: (before, lines) => [...before, ...lines], default: () => [] }),
});

const beatMs = 20;

function beat({ heartbeat_file }) {
  if (heartbeat_file !== "") appendFileSync(heartbeat_file, `${Date.now()}\n`);
}

// A step of its own, so that there is something to keep when `work` is stopped.
function prepare() {
  return { log: ["prepared"] };
}

async function work(state, config) {
  const end = Date.now() + state.ms;
  while (Date.now() < end) {
    beat(state);
    switch (state.mode) {
      case "polite":
        await sleep(beatMs, undefined, { signal: config.signal });
        break;
      case "deaf":
        await sleep(beatMs);
        break;
      case "busy":
        for (const next = Date.now() + beatMs; Date.now() < next; );
        break;
      default:
        throw new Error(`"${state.mode}" is not a mode; there are polite, deaf and busy.`);
    }
  }
  return { log: [`worked (${state.mode})`] };
}

function finish() {
  return { log: ["finished"] };
}

export const graph = new StateGraph(State)
  .addNode("prepare", prepare)
  .addNode("work", work)
  .addNode("finish", finish)
  .addEdge(START, "prepare")
  .addEdge("prepare", "work")
  .addEdge("work", "finish")
  .addEdge("finish", END)
  .compile();
