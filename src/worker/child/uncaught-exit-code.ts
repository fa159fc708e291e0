/** With this code a child ends after an uncaught exception, which it has reported as its last fault. */
export const uncaughtExitCode = 70;
