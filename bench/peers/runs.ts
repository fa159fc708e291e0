import type { HttpClient } from "../../test/peers/http-client.ts";

/** What the measurements ask of every server, in the API that all of them have. */
export interface Runs {
  readonly http: HttpClient;
  newThread(): Promise<string>;
  /** Creates a run and waits for its end; throws when that is not the expected one. */
  wait(threadId: string, graph: string, input: object, durability?: "async" | "sync"): Promise<void>;
  create(threadId: string, graph: string, input: object): Promise<string>;
}

/** Three supersteps that do nothing: what is measured is the server. */
export const trivial = { steps: 2 };

/** The official servers' default, asked of all alike: Reins stores each step before the next one unless told otherwise. */
export const usualDurability = "async";

export function runsOf(http: HttpClient): Runs {
  async function post(path: string, body: object): Promise<Record<string, unknown>> {
    const { status, text } = await http.call("POST", path, body);
    if (status !== 200) throw new Error(`POST ${path} answered ${status}: ${text}`);
    return JSON.parse(text);
  }
  return {
    http,
    newThread: async () => (await post("/threads", {})).thread_id as string,
    async wait(threadId, graph, input, durability = usualDurability) {
      const values = await post(`/threads/${threadId}/runs/wait`, { assistant_id: graph, input, durability });
      if (values.__error__) throw new Error(JSON.stringify(values));
    },
    async create(threadId, graph, input) {
      const body = { assistant_id: graph, input, durability: usualDurability };
      return (await post(`/threads/${threadId}/runs`, body)).run_id as string;
    },
  };
}
