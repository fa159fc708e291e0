import * as langgraph from "@langchain/langgraph";
import { expect, it } from "vitest";
import { findCountingProblem } from "../../../src/worker/child/counting-self-test.ts";
import type { LangGraphModule } from "../../../src/worker/child/graph-types.ts";
import { LangGraphCopy } from "../../../src/worker/child/langgraph-copy.ts";

it("the self-test finds a LangGraph whose functions are not counted, and passes one whose are", async () => {
  const copy = langgraph as unknown as LangGraphModule;
  expect(await findCountingProblem(copy)).toBe("a node that ignores the abort signal was not counted");
  const graph = new langgraph.StateGraph(langgraph.Annotation.Root({}))
    .addNode("a", () => ({}))
    .addEdge(langgraph.START, "a")
    .compile();
  const instance = await new LangGraphCopy(import.meta.filename).instanceOf(graph);
  expect(instance?.problem).toBeUndefined();
  expect(await findCountingProblem(copy)).toBeUndefined();
});
