import { get, post, type Scenario } from "../scenario.ts";

export const systemScenarios: readonly Scenario[] = [
  {
    name: "system",
    steps: [
      get("ok", "/ok"),
      get("info", "/info"),
      get("metrics", "/metrics?format=json"),
      get("unknown-route", "/nowhere"),
      get("wrong-method", "/runs/cancel"),
      post("wrong-method-threads", "/threads/search/more", {}),
      post("crons", "/runs/crons", { schedule: "* * * * *", assistant_id: "agent" }),
    ],
  },
];
