import type { Lanes } from "../../src/domain/ports.ts";

/** An answer that did not come: nobody knows whether the write has landed, or will. */
export class AnswerLost extends Error {}

/** A write that the store has applied, whether or not somebody was told. */
export interface AppliedWrite {
  readonly threadId: string;
  /** Undefined of an insert. */
  readonly from: string | undefined;
  readonly rev: string;
}

export interface LossyOptions {
  /** From 0 up to 1. */
  readonly random: () => number;
  /** How long a command is on its way: a delay of so many units, whatever one is. */
  readonly delay: (units: number) => Promise<unknown>;
  /** Which part of the commands goes wrong. */
  readonly share: number;
}

/** Any store of lanes behind a network that delays, loses, repeats and holds back. */
export function lossyLanes(inner: Lanes, { random, delay, share }: LossyOptions) {
  const applied: AppliedWrite[] = [];
  const late: Promise<unknown>[] = [];

  async function write(one: AppliedWrite, send: () => Promise<boolean>): Promise<boolean> {
    const apply = async () => {
      const isApplied = await send();
      // A copy may hear that an earlier one has landed.
      if (isApplied && !applied.some(({ rev }) => rev === one.rev)) applied.push(one);
      return isApplied;
    };
    const applyLater = () => late.push(delay(1 + Math.floor(random() * 40)).then(apply));
    await delay(Math.floor(random() * 4));
    const fate = random() < share ? Math.floor(random() * 4) : undefined;
    switch (fate) {
      case 0: // The answer is lost.
        await apply();
        throw new AnswerLost("the answer to a write was lost");
      case 1: // It never arrives.
        throw new AnswerLost("a write was lost");
      case 2: // It arrives when nobody waits for it any more.
        applyLater();
        throw new AnswerLost("a write was late");
      case 3: // It arrives twice.
        applyLater();
        return apply();
      default:
        return apply();
    }
  }

  const lanes: Lanes = {
    ...inner,
    async read(name) {
      await delay(Math.floor(random() * 4));
      if (random() < share / 2) throw new AnswerLost("a read was lost");
      const stored = await inner.read(name);
      await delay(Math.floor(random() * 4));
      return stored;
    },
    insert: (thread) => {
      const { origin, control } = thread;
      return write({ threadId: origin.threadId, from: undefined, rev: control.rev }, () => inner.insert(thread));
    },
    write: (origin, from, control, options) =>
      write({ threadId: origin.threadId, from, rev: control.rev }, () => inner.write(origin, from, control, options)),
  };

  return {
    lanes,
    /** In the order in which their answers came. */
    applied: applied as readonly AppliedWrite[],
    /** Resolves when nothing is on its way any more. */
    async settled(): Promise<void> {
      while (late.length > 0) await late.shift();
    },
  };
}
