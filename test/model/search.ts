/** A finite system of states and steps, searched whole. */
export interface System<State> {
  readonly initial: State;
  /** Two states with the same key are the same state. */
  key(state: State): string;
  steps(state: State): Iterable<Step<State>>;
  /** What is wrong with a state, or with a step to it; undefined when nothing is. */
  fault(state: State, before: State | undefined): string | undefined;
  /** Nothing is left to be done. */
  isSettled(state: State): boolean;
}

export interface Step<State> {
  readonly label: () => string;
  readonly to: State;
  /** The system does it by itself, sooner or later; the others may happen or not. */
  readonly isProgress: boolean;
}

export interface Found {
  readonly states: number;
  readonly steps: number;
  /** The shortest way to the first fault that was found, with the fault at its end; undefined when there is none. */
  readonly trace: readonly string[] | undefined;
}

/**
 * Breadth first through every state that can be reached. A state is remembered by 53 bits of its key: with two million
 * states the chance that two of them were taken for one is about 1 : 4,000. Beside the faults of single states it finds those
 * that can never settle any more, however their own steps go on.
 */
export function search<State>(system: System<State>, limit = 5_000_000): Found {
  const ids = new Map<number, number>();
  const parents: number[] = [];
  const settled: number[] = [];
  /** The steps that are progress, as pairs of states. */
  const from: number[] = [];
  const to: number[] = [];
  let steps = 0;
  let frontier: [State, number][] = [];

  function enter(state: State, parent: number, next: [State, number][]): number {
    const print = fingerprint(system.key(state));
    const known = ids.get(print);
    if (known !== undefined) return known;
    const id = parents.length;
    if (id >= limit) throw new Error(`more than ${limit} states`);
    ids.set(print, id);
    parents.push(parent);
    if (system.isSettled(state)) settled.push(id);
    next.push([state, id]);
    return id;
  }

  const answer = (trace?: string[]): Found => ({ states: parents.length, steps, trace });
  const wrongAtOnce = system.fault(system.initial, undefined);
  if (wrongAtOnce) return answer([wrongAtOnce]);
  enter(system.initial, -1, frontier);
  while (frontier.length > 0) {
    const next: [State, number][] = [];
    for (const [state, id] of frontier) {
      for (const step of system.steps(state)) {
        steps += 1;
        const target = enter(step.to, id, next);
        if (step.isProgress) {
          from.push(id);
          to.push(target);
        }
        const wrong = system.fault(step.to, state);
        if (wrong) return answer([...pathTo(id), step.label(), wrong]);
      }
    }
    frontier = next;
  }
  const stuck = firstThatCannotReach(settled, parents.length, from, to);
  return answer(stuck === undefined ? undefined : [...pathTo(stuck), "from here the runs can never be over"]);

  /** The labels on the way to a state, by going it again. */
  function pathTo(id: number): string[] {
    const way: number[] = [];
    for (let at = id; at > 0; at = parents[at]!) way.unshift(at);
    let state = system.initial;
    return way.map((target) => {
      for (const step of system.steps(state)) {
        if (ids.get(fingerprint(system.key(step.to))) !== target) continue;
        state = step.to;
        return step.label();
      }
      throw new Error("the steps of a state are not always the same");
    });
  }
}

/** The first state from which none of the targets can be reached. */
function firstThatCannotReach(
  targets: readonly number[],
  count: number,
  from: readonly number[],
  to: readonly number[],
) {
  const starts = new Int32Array(count + 2);
  for (const target of to) starts[target + 2]! += 1;
  for (let i = 2; i < starts.length; i += 1) starts[i]! += starts[i - 1]!;
  const sources = new Int32Array(to.length);
  for (const [edge, target] of to.entries()) sources[starts[target + 1]!++] = from[edge]!;
  const reaches = new Uint8Array(count);
  const open = [...targets];
  for (const target of targets) reaches[target] = 1;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (let i = starts[at]!; i < starts[at + 1]!; i += 1) {
      const source = sources[i]!;
      if (reaches[source]) continue;
      reaches[source] = 1;
      open.push(source);
    }
  }
  const stuck = reaches.indexOf(0);
  return stuck === -1 ? undefined : stuck;
}

/** 53 bits of two independent hashes (cyrb53). */
function fingerprint(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const character = text.charCodeAt(i);
    a = Math.imul(a ^ character, 2654435761);
    b = Math.imul(b ^ character, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
