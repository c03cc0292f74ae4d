/** The time limit of waits for a model of the server, whose answers may take long. */
import { performance } from 'node:perf_hooks';
import { Context } from './context.js';

/** @typedef {import('./options.js').Options} Options */

/** For a model that answers at once, like the suite's. */
const TIMEOUT_MS = 10_000;
/** For the first answer. */
const ANSWER_MS_MAX = 60_000;
/** A later answer may take this many times as long. */
const MARGIN = 3;

/**
 * @param {number} answerMs of a whole answer
 * @returns {number} for each wait, the longest of which is for an answer
 */
export function timeoutFor(answerMs) {
  return Math.max(TIMEOUT_MS, Math.ceil((MARGIN * answerMs) / 1000) * 1000);
}

/**
 * @param {Options} options
 * @returns {Promise<number>} the option, or a limit derived from the duration of a first answer
 */
export async function timeoutOf(options) {
  const { adapter, upstream, timeoutMs } = options;
  if (timeoutMs !== undefined) return timeoutMs;
  if (upstream !== undefined || !adapter.features.includes('submit')) return TIMEOUT_MS;
  const context = new Context({ ...options, timeoutMs: ANSWER_MS_MAX });
  const startMs = performance.now();
  try {
    const job = await context.submit(await context.known());
    await (await context.first(job)).ended();
    return timeoutFor(performance.now() - startMs);
  } catch {
    // The rules report the fault.
    return TIMEOUT_MS;
  } finally {
    context.close();
  }
}
