import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Bodies as LangGraph's SDKs send them: what is not set is not there. */
describe("bodies of LangGraph's SDKs", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp();
  });
  afterAll(() => app?.close());

  async function post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${app.app.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const newThread = async () => (await post("/threads", {})).body.thread_id as string;

  it("resumes without an input", async () => {
    const thread = await newThread();
    const asked = await post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", input: {} });
    expect(asked.body).toHaveProperty("__interrupt__");
    const body = { assistant_id: "ask", command: { resume: "yes" } };
    const answered = await post(`/threads/${thread}/runs/wait`, body);
    expect(answered.status).toBe(200);
    expect(answered.body).not.toHaveProperty("__interrupt__");
  });

  it("takes a command that resumes nothing", async () => {
    const body = {
      assistant_id: "emitter",
      command: { goto: "first", update: null, resume: null },
      if_not_exists: "create",
    };
    expect((await post(`/threads/${await newThread()}/runs`, body)).status).toBe(200);
  });

  it("edits a state with no values at all", async () => {
    const thread = await newThread();
    await post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", input: {} });
    expect(await post(`/threads/${thread}/state`, { as_node: "first" })).toMatchObject({ status: 200 });
  });

  it("starts from the checkpoint of an input, whose id is no UUID to the letter", async () => {
    const thread = await newThread();
    await post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", input: {} });
    const history = (await post(`/threads/${thread}/history`, {})).body as unknown as { checkpoint: object }[];
    const checkpoint = history.at(-1)!.checkpoint as { checkpoint_id: string };
    expect(checkpoint.checkpoint_id).toMatch(/-ffff-\w{12}$/);
    const body = { assistant_id: "ask", input: {}, checkpoint };
    expect((await post(`/threads/${thread}/runs/wait`, body)).status).toBe(200);
    expect((await post(`/threads/${thread}/state/checkpoint`, { checkpoint })).status).toBe(200);
  });
});
