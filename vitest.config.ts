import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What takes half a minute or more; begun last, it would keep the whole run waiting. */
const long = [
  "test/faults/faults",
  "model/lane",
  "simulation/bugs",
  "simulation/simulation",
  "lifecycle",
  "query-plans",
  "package",
  "integration/image",
  "h2spec",
  "double-texting",
  "child-state",
  "stateless-crash",
  "two-servers",
  "cancel-moments",
  "python-sdk",
  "integration/stores",
];

class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) => long.some((name) => moduleId.includes(name));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Real processes and sockets on small machines: more at a time would only make them wait for each other.
    maxWorkers: 2,
    // Files of one process share its modules and its children; each has a server and a database of its own.
    isolate: false,
    retry: 0,
    sequence: { sequencer: LongFilesFirst },
  },
});
