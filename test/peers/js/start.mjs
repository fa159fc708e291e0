/**
 * Starts `@langchain/langgraph-api` without its CLI, which would look for a browser, an update and a login. The package's preload
 * module reads the last argument as well.
 */
import { startServer } from "@langchain/langgraph-api/server";

await startServer(JSON.parse(process.argv.at(-1)));
