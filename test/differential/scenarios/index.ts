import type { Scenario } from "../scenario.ts";
import { assistantScenarios } from "./assistants.ts";
import { cancelScenarios } from "./cancel.ts";
import { cancelManyScenarios } from "./cancel-many.ts";
import { cancelWatcherScenarios } from "./cancel-watchers.ts";
import { doubleTextingScenarios } from "./double-texting.ts";
import { errorScenarios } from "./errors.ts";
import { historyScenarios } from "./history.ts";
import { runScenarios } from "./runs.ts";
import { statelessScenarios } from "./stateless.ts";
import { storeScenarios } from "./store.ts";
import { streamScenarios } from "./streams.ts";
import { systemScenarios } from "./system.ts";
import { threadScenarios } from "./threads.ts";

/** Everything that is played, over all routes that clients of the LangGraph API use. */
export const scenarios: readonly Scenario[] = [
  ...threadScenarios,
  ...historyScenarios,
  ...runScenarios,
  ...streamScenarios,
  ...cancelScenarios,
  ...cancelWatcherScenarios,
  ...cancelManyScenarios,
  ...doubleTextingScenarios,
  ...statelessScenarios,
  ...assistantScenarios,
  ...storeScenarios,
  ...systemScenarios,
  ...errorScenarios,
];
