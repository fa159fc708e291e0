import { createHash } from "node:crypto";
import type { Answer } from "./route.ts";

/** A page that runs nothing, loads nothing and stands in no other page; of styles it has the given one, in `<style>`. */
export function htmlPage(text: string, style?: string): Answer {
  const hash = style !== undefined && createHash("sha256").update(style).digest("base64");
  const policy = [
    "default-src 'none'",
    ...(hash ? [`style-src 'sha256-${hash}'`] : []),
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ];
  return {
    kind: "text",
    contentType: "text/html; charset=utf-8",
    text,
    headers: { "content-security-policy": policy.join("; "), "referrer-policy": "no-referrer" },
  };
}
