/** The time that a job spent in the gateway itself. Pure function. */

/** @typedef {import('../job.js').JobRecord} JobRecord */

/**
 * The time of an ended job without an open call of the provider: admission, queue, batching
 * and waits before retries. From the start of its admission to its terminal event. A job that replays a
 * finished answer, or never reached the provider, spent all of its time here.
 * @param {Pick<JobRecord, 'submittedMs' | 'acceptedMs' | 'calls' | 'cache'>
 *   & {answer?: Pick<JobRecord, 'calls'>}} record
 * @param {number} durationMs from its admission to its terminal event
 * @returns {number | undefined} milliseconds; undefined: the job was submitted to an earlier process
 */
export function overheadMsOf({ submittedMs, acceptedMs, calls, answer, cache }, durationMs) {
  if (submittedMs === undefined || acceptedMs === undefined) return undefined;
  const endedMs = acceptedMs + durationMs;
  let waitedMs = 0;
  // The calls of a replayed answer ended earlier.
  const made = cache === 'hit' ? [] : (answer?.calls ?? calls);
  for (const { startMs, endMs = endedMs } of made) {
    waitedMs += Math.max(0, Math.min(endMs, endedMs) - Math.max(startMs, submittedMs));
  }
  return Math.max(0, endedMs - submittedMs - waitedMs);
}
