import { z } from "zod";
import type { Route } from "./route.ts";

/** An OpenAPI 3.1 document of the routes: their paths, parameters, and the shapes of their bodies. */
export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of routes) {
    const path = one.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [one.method.toLowerCase()]: operation(one) };
  }
  return { openapi: "3.1.0", info: { title: "Reins", version }, paths };
}

function operation({ path, is, body, query = {} }: Route): object {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    ...{ name, in: "path", required: true, schema: { type: "string" } },
  }));
  const inQuery = Object.entries(query).map(([name, description]) => ({
    ...{ name, in: "query", required: false, description, schema: { type: "string" } },
  }));
  return {
    summary: is,
    parameters: [...inPath, ...inQuery],
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body) } } } }),
    responses: {
      "2XX": { description: "Done." },
      "4XX": {
        description: "Refused, and nothing has changed.",
        content: {
          "application/json": {
            schema: { type: "object", properties: { detail: { type: "string" } }, required: ["detail"] },
          },
        },
      },
    },
  };
}

function schemaOf(body: z.ZodType): object {
  // Its own `$schema` says the same as OpenAPI 3.1 does for all.
  const { $schema: _, ...schema } = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
  return schema;
}
