import { afterAll, beforeAll, describe, it } from "vitest";
import { leavingProcesses } from "../support/leavers.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { expectLeaverIsNoticed } from "../support/watched-runs.ts";

describe("law 11: a client whose process ends cancels its run", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp();
  });
  afterAll(() => app.close());

  it.each(Object.entries(leavingProcesses))("%s", (_, arrive) => expectLeaverIsNoticed(app, arrive));
});
