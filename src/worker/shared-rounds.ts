/**
 * Asked at each of its rounds, a server is told whether to do the work in it: of `servers` that share it, each does so in one round
 * of as many, so that all together do it as often as one would alone. The first round is always its own.
 */
export function createSharedRounds(servers: () => number): () => boolean {
  let left = 0;
  return () => {
    left = Math.min(left, servers()) - 1;
    if (left > 0) return false;
    left = servers();
    return true;
  };
}
