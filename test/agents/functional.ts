import { entrypoint, task } from "@langchain/langgraph";

const double = task("double", (n: number) => n * 2);

/** Without nodes: the functional API. */
export const graph = entrypoint("functional", async (n: number) => double(n));
