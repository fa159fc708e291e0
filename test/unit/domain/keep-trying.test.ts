import { describe, expect, it, vi } from "vitest";
import { keepTrying } from "../../../src/domain/keep-trying.ts";

const away = new Error("away");

function failing(...errors: unknown[]) {
  return vi.fn(async () => {
    if (errors.length > 0) throw errors.shift();
    return "done";
  });
}

describe("keepTrying", () => {
  it.each([
    ["what passes, until it is done", [away, away], undefined, 3, "done"],
    ["nothing that does not pass", [away, new Error("wrong")], undefined, 2, new Error("wrong")],
    ["nothing after the signal", [away], AbortSignal.abort(), 1, away],
    ["what is done although the signal is aborted", [], AbortSignal.abort(), 1, "done"],
  ])("tries again %s", async (_, errors, signal, tries, result) => {
    const what = failing(...errors);
    const pause = vi.fn(async () => undefined);
    const outcome = await keepTrying(what, { isTransient: (error) => error === away, pause, signal }).catch(
      (error: unknown) => error,
    );
    expect(outcome).toEqual(result);
    expect(what).toHaveBeenCalledTimes(tries);
    expect(pause).toHaveBeenCalledTimes(tries - 1);
  });
});
