/**
 * A machine whose clock is wrong. `node --import` loads this file before a program. It moves the wall clock
 * by `CLOCK_AHEAD_MS` milliseconds, and no timer. The program does not know of it.
 */
const aheadMs = Number(process.env.CLOCK_AHEAD_MS);
const wallMs = Date.now;
Date.now = () => wallMs() + aheadMs;
