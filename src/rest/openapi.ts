import { z } from "zod";
import { answersOf, type SuccessAnswer } from "./openapi-answers.ts";
import { refTo, type Schema, schemas } from "./openapi-schemas.ts";
import { type QueryParameter, type Route, textParameter } from "./route.ts";

/** An OpenAPI 3.1 document of the routes: their paths, parameters, bodies, and answers. */
export function openApi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const one of routes) {
    const path = one.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [one.method.toLowerCase()]: operation(one) };
  }
  return { openapi: "3.1.0", info: { title: "Reins", version }, paths, components: { schemas } };
}

function operation(route: Route): object {
  const { path, is, body, query = {} } = route;
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: partOfPath(name!),
  }));
  const inQuery = Object.entries(query).map(([name, parameter]) => parameterOf(name, parameter));
  return {
    operationId: operationId(route),
    summary: is,
    parameters: [...inPath, ...inQuery],
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body) } } } }),
    responses: {
      ...Object.fromEntries((answersOf(route) ?? []).map((answer) => [answer.status, success(answer)])),
      "4XX": failure("Refused, and nothing has changed."),
      "5XX": failure("Not done: it is not offered (501), or cannot be done now (503), or a fault (500)."),
    },
  };
}

/** The method and the path in one word, so that it stays the same as long as they do: postThreadsByThreadIdRunsWait. */
function operationId({ method, path }: Route): string {
  const words = path.replace(/:/g, "by_").split(/\W|_/).filter(Boolean);
  return [method.toLowerCase(), ...(words.length > 0 ? words : ["root"]).map(capitalised)].join("");
}

const capitalised = (word: string): string => word[0]!.toUpperCase() + word.slice(1);

const partOfPath = (name: string): Schema =>
  name === "thread_id" || name === "run_id" ? { type: "string", format: "uuid" } : { type: "string", minLength: 1 };

function parameterOf(name: string, given: string | QueryParameter): object {
  const { is, schema, required = false } = typeof given === "string" ? textParameter(given) : given;
  return { name, in: "query", required, description: is, schema };
}

const success = ({ is, content }: SuccessAnswer) => ({
  description: is,
  ...(content && {
    content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }])),
  }),
});

const failure = (description: string) => ({ description, content: { "application/json": { schema: refTo("Error") } } });

function schemaOf(body: z.ZodType): object {
  // Its own `$schema` says the same as OpenAPI 3.1 does for all.
  const { $schema: _, ...schema } = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
  return schema;
}
