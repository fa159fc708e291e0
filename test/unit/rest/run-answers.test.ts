import fc from "fast-check";
import { expect, it } from "vitest";
import { frame } from "../../../src/rest/run-answers.ts";

interface SeenEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** What a browser makes of a stream: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6. */
function seen(stream: string): SeenEvent[] {
  const events: SeenEvent[] = [];
  let [event, id, data] = ["", "", [] as string[]];
  for (const line of stream.split(/\r\n|\r|\n/)) {
    if (line === "") {
      if (data.length > 0) events.push({ event, data: data.join("\n"), id });
      [event, data] = ["", []];
      continue;
    }
    const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!;
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id" && !value.includes("\0")) id = value;
  }
  return events;
}

/** Names of nodes and channels are a graph's, and may be made by a model. */
const name = fc.array(fc.constantFrom("\r", "\n", ":", " ", "event", "data", "id", "retry", "|", "{}", "x"), {
  minLength: 1,
});

it("an event of a graph is one event to its reader, whatever it is called and says", () => {
  fc.assert(
    fc.property(name, fc.json(), fc.constantFrom("", " ", "\t", "\r", "\n", "\r\n\r\n"), (parts, json, blank) => {
      const called = parts.join("");
      const text = `${blank}${json}${blank}`;
      const events = seen(frame(called, text, "7") + frame("end", "null", "8"));
      expect(events.map(({ id }) => id)).toEqual(["7", "8"]);
      expect(JSON.parse(events[0]!.data)).toEqual(JSON.parse(json));
      expect(events[0]!.event.trim()).toBe(called.replace(/[\r\n]+/g, " ").trim());
      expect(events[1]).toEqual({ event: "end", data: "null", id: "8" });
    }),
  );
});
