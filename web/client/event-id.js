/**
 * Event ids: `<attempt>-<seq>` identifies one event of one job; `job_a:1-5,job_b:1-2` is a position in
 * several jobs. Pure functions.
 */

/** @typedef {{attempt: number, seq: number}} Position */

const EVENT_ID = /^(\d{1,15})-(\d{1,15})$/;

/**
 * @param {string | null | undefined} id
 * @returns {Position | null} null for an invalid id
 */
export function parseEventId(id) {
  const match = EVENT_ID.exec(id ?? '');
  return match && { attempt: Number(match[1]), seq: Number(match[2]) };
}

/** Whether `a` comes after `b`; everything comes after null. @param {Position} a @param {Position | null} b */
export function isAfter(a, b) {
  if (b === null) return true;
  return a.attempt === b.attempt ? a.seq > b.seq : a.attempt > b.attempt;
}

/**
 * The event id of one job in a position in several jobs. A search is cheaper than a split here: this
 * runs once per token, and a connection may carry 64 jobs.
 * @param {string} cursor
 * @param {string} jobId
 */
export function eventIdOf(cursor, jobId) {
  const key = `${jobId}:`;
  let start = cursor.startsWith(key) ? 0 : cursor.indexOf(`,${key}`) + 1;
  if (start === 0 && !cursor.startsWith(key)) return null;
  start += key.length;
  const end = cursor.indexOf(',', start);
  return end === -1 ? cursor.slice(start) : cursor.slice(start, end);
}
