/** The value that this part of the samples does not exceed. */
export function percentile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * part) - 1))] ?? Number.NaN;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Repeats up to a number of times and milliseconds, at least three times; gives what each took. */
export async function timeEach(limit: { times: number; ms: number }, what: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (const start = performance.now(); samples.length < limit.times; ) {
    if (samples.length >= 3 && performance.now() - start > limit.ms) break;
    const began = performance.now();
    await what();
    samples.push(performance.now() - began);
  }
  return samples;
}
