/** The wait requested by an HTTP response. */

/**
 * Reads `Retry-After`, in seconds or as an HTTP date, or `Retry-After-Ms`, which some model servers
 * send.
 * @param {Record<string, string | string[] | undefined>} headers names in lower case
 * @param {number} [nowMs] Unix time
 * @returns {number | undefined} milliseconds, not negative
 */
export function parseRetryAfterMs(headers, nowMs = Date.now()) {
  const ms = headers['retry-after-ms'];
  if (typeof ms === 'string' && /^\d+(\.\d+)?$/.test(ms)) return Number(ms);
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1000;
  if (!/^[a-z]{3,9},? /i.test(value)) return undefined;
  // The obsolete asctime format has no zone; all HTTP dates are GMT.
  const date = Date.parse(/GMT$/.test(value) ? value : `${value} GMT`);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
