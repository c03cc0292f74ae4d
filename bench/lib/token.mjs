/**
 * The text of a token, and its pace: the same for every server written in JavaScript, and the same
 * text as in the C++ programs (native/common.h).
 */

/** When, and which: `@` and 15 digits (CLOCK_MONOTONIC, microseconds), `#`, the number, a space. */
export function tokenText(/** @type {number} */ seq) {
  const [seconds, nanoseconds] = process.hrtime();
  const us = seconds * 1e6 + Math.floor(nanoseconds / 1e3);
  return `@${String(us).padStart(15, '0')}#${seq} `;
}

/**
 * Calls back once per interval, by absolute times, so that a late call does not lower the rate.
 * @param {number} intervalMs
 * @param {(text: string, seq: number) => void} onToken
 * @returns {() => void} stops it
 */
export function pace(intervalMs, onToken) {
  let seq = 0;
  let dueMs = performance.now() + intervalMs;
  const turn = () => {
    seq += 1;
    dueMs += intervalMs;
    timer = setTimeout(turn, dueMs - performance.now());
    onToken(tokenText(seq), seq);
  };
  let timer = setTimeout(turn, intervalMs);
  return () => clearTimeout(timer);
}

/**
 * The same as an async generator, as a provider of Sluice is written.
 * @param {number} intervalMs
 * @param {AbortSignal} signal
 */
export async function* tokens(intervalMs, signal) {
  let dueMs = performance.now();
  for (let seq = 1; !signal.aborted; seq += 1) {
    dueMs += intervalMs;
    const waitMs = dueMs - performance.now();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    yield tokenText(seq);
  }
}

/**
 * `count` tokens, as fast as they are read.
 * @param {number} count
 */
export async function* burst(count) {
  for (let seq = 1; seq <= count; seq += 1) yield tokenText(seq);
}
