import { get, patch, post, remove, type Scenario, unknownId } from "../scenario.ts";

const byGraph = { graph_id: "parent", limit: 10 };

export const assistantScenarios: readonly Scenario[] = [
  {
    name: "assistant",
    steps: [
      post(
        "search-graph",
        "/assistants/search",
        { ...byGraph, metadata: { created_by: "system" } },
        { save: { a: "0.assistant_id" } },
      ),
      post("search-none", "/assistants/search", { graph_id: "none" }),
      post("count", "/assistants/count", { graph_id: "agent", metadata: { created_by: "system" } }),
      get("get", "/assistants/{a}"),
      get("get-by-name", "/assistants/parent"),
      get("get-unknown", `/assistants/${unknownId}`),
      get("graph", "/assistants/{a}/graph"),
      get("graph-xray", "/assistants/{a}/graph?xray=true"),
      get("schemas", "/assistants/{a}/schemas"),
      get("subgraphs", "/assistants/{a}/subgraphs"),
    ],
  },
  {
    name: "assistant-edit",
    steps: [
      post(
        "create",
        "/assistants",
        {
          graph_id: "agent",
          name: "mine",
          metadata: { of: "me" },
          config: { tags: ["x"], configurable: { tone: "warm" } },
        },
        { save: { a: "assistant_id" } },
      ),
      get("get", "/assistants/{a}"),
      patch("patch", "/assistants/{a}", { body: { name: "yours", metadata: { mood: "good" } } }),
      post("search", "/assistants/search", { metadata: { of: "me" } }),
      post("run", "/runs/wait", { assistant_id: "{a}", input: { steps: 1 } }),
      post("versions", "/assistants/{a}/versions", {}),
      post("create-again", "/assistants", { assistant_id: "{a}", graph_id: "agent" }),
      post("create-again-do-nothing", "/assistants", {
        assistant_id: "{a}",
        graph_id: "agent",
        if_exists: "do_nothing",
      }),
      post("create-bad-graph", "/assistants", { graph_id: "nope" }),
      remove("delete", "/assistants/{a}"),
      get("get-deleted", "/assistants/{a}"),
      remove("delete-again", "/assistants/{a}"),
    ],
  },
];
