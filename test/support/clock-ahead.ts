/**
 * A machine whose clock is wrong: loaded before a program by `node --import`, it moves the wall clock by
 * CLOCK_AHEAD_MS, and no timer. It takes the place of the machine's clock; the program knows nothing of it.
 */
const aheadMs = Number(process.env.CLOCK_AHEAD_MS);
const wallMs = Date.now;
Date.now = () => wallMs() + aheadMs;
