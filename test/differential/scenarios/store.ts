import { get, post, put, remove, type Scenario } from "../scenario.ts";

export const storeScenarios: readonly Scenario[] = [
  {
    name: "store",
    steps: [
      put("put", "/store/items", { body: { namespace: ["users", "ada"], key: "likes", value: { colour: "blue" } } }),
      put("put-second", "/store/items", {
        body: { namespace: ["users", "bob"], key: "likes", value: { colour: "red" } },
      }),
      get("get", "/store/items?namespace=users.ada&key=likes"),
      get("get-missing", "/store/items?namespace=users.ada&key=none"),
      post("search", "/store/items/search", { namespace_prefix: ["users"], limit: 10 }),
      post("search-filter", "/store/items/search", { namespace_prefix: ["users"], filter: { colour: "red" } }),
      post("namespaces", "/store/namespaces", { prefix: ["users"] }),
      put("put-dotted", "/store/items", { body: { namespace: ["users.ada"], key: "likes", value: {} } }),
      put("put-no-key", "/store/items", { body: { namespace: ["users"], value: {} } }),
      remove("delete", "/store/items", { body: { namespace: ["users", "ada"], key: "likes" } }),
      get("get-deleted", "/store/items?namespace=users.ada&key=likes"),
    ],
  },
];
