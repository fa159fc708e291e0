import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Real processes and sockets on small machines: more at a time would only make them wait for each other.
    maxWorkers: 2,
    // Files of one process share its modules and its children; each has a server and a database of its own.
    isolate: false,
    retry: 0,
  },
});
