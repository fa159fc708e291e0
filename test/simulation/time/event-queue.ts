interface Placed {
  readonly at: number;
  readonly order: number;
}

/** Events by their time, those of one time in the order in which they were put in. A binary heap. */
export class EventQueue<T extends Placed> {
  readonly #heap: T[] = [];

  push(one: T): void {
    const heap = this.#heap;
    let place = heap.push(one) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(one, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = one;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const isBefore = (a: Placed, b: Placed): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
