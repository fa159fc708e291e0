import { describe, expect, it } from "vitest";
import { openApi } from "../../../src/rest/openapi.ts";
import { answersOf } from "../../../src/rest/openapi-answers.ts";
import { createRoutes } from "../../../src/rest/routes.ts";

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: object }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, { readonly schema: object }> }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

// Nothing of a route is called to describe it.
const about = { version: "1.0.0" };
const routes = createRoutes({ graphs: [], startedAt: new Date(), about } as unknown as Parameters<
  typeof createRoutes
>[0]);
const document = JSON.parse(JSON.stringify(openApi(routes, "1.0.0"))) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, ...operation })),
);
const parameter = (name: string, of: string) =>
  operations.find((operation) => operation.name === of)!.parameters.find((one) => one.name === name)!.schema;

describe("the OpenAPI document", () => {
  it("has each route, under an id of its own", () => {
    expect(operations).toHaveLength(routes.length);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(routes.length);
    expect(operations.map(({ operationId }) => operationId)).toContain("postThreadsByThreadIdRunsWait");
    for (const { operationId } of operations) expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
  });

  it("says what each route answers, but for those that are not offered and for itself", () => {
    const silent = routes.filter((route) => answersOf(route) === undefined).map(({ path }) => path);
    expect(silent.filter((path) => !path.includes("/crons"))).toEqual(["/openapi.json", "/docs"]);
    const bodies = operations.filter(({ responses }) => "200" in responses);
    for (const { name, responses } of bodies)
      expect([name, responses["200"]!.content]).toEqual([name, expect.anything()]);
  });

  it("names the values of enums, and where a number or an id must be", () => {
    const cancel = "post /threads/{thread_id}/runs/{run_id}/cancel";
    expect(parameter("action", cancel)).toEqual({ type: "string", enum: ["interrupt", "rollback"] });
    expect(parameter("run_id", cancel)).toEqual({ type: "string", format: "uuid" });
    expect(parameter("limit", "get /threads/{thread_id}/runs")).toEqual({ type: "integer", minimum: 0, maximum: 1000 });
    expect(document.components.schemas.Run).toMatchObject({
      properties: {
        status: { enum: ["pending", "running", "success", "error", "timeout", "interrupted"] },
        multitask_strategy: { enum: ["enqueue", "reject", "interrupt", "rollback"] },
      },
    });
    expect(document.components.schemas.Thread).toMatchObject({
      properties: { status: { enum: ["idle", "busy", "interrupted", "error"] } },
    });
  });

  it("refers to nothing that it does not have", () => {
    const names = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name!,
    );
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !(name in document.components.schemas))).toEqual([]);
  });
});
