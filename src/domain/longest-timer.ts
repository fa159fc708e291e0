/** 24.8 days: a longer time would make Node's timers fire at once. */
export const longestTimerMs = 2 ** 31 - 1;
