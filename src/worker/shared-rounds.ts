/**
 * Says at each of its rounds whether it is this server's: so many servers share the work, and each does it every so manieth time,
 * so that all together do it as often as one would alone. The first is always its own.
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
