/**
 * Offsets and cursors of the Durable Streams protocol. An offset is `SPACE_POSITION`, 16 digits each,
 * so that offsets sort as text. The space is the id of the stream that began the offsets: forks share it,
 * and a new stream at an old path has a new one. The position counts stored bytes. Pure functions.
 */

const DIGITS = 16;
const OFFSET = /^(\d{16})_(\d{16})$/;
const CURSOR = /^\d{1,15}$/;

/** Cursors count intervals of this length from this time on, as the protocol proposes. */
const CURSOR_INTERVAL_MS = 20_000;
const CURSOR_EPOCH_MS = Date.UTC(2024, 9, 9);
/** An hour: the largest step beyond the client's cursor. */
const CURSOR_STEPS_MAX = 3600_000 / CURSOR_INTERVAL_MS;

/** @param {number} value */
const padded = (value) => String(value).padStart(DIGITS, '0');

/**
 * @param {number} space
 * @param {number} position
 * @returns {string}
 */
export function formatOffset(space, position) {
  return `${padded(space)}_${padded(position)}`;
}

/**
 * @param {string} text
 * @returns {{space: number, position: number} | undefined} undefined: not an offset. Space 0 with
 *   position 0 is the beginning of any stream
 */
export function parseOffset(text) {
  const match = OFFSET.exec(text);
  if (match === null) return undefined;
  const [space, position] = [Number(match[1]), Number(match[2])];
  return Number.isSafeInteger(space) && Number.isSafeInteger(position)
    ? { space, position }
    : undefined;
}

/**
 * The cursor of a live answer: the number of the current interval. It is always greater than the
 * client's cursor, so that no cache answers the next request with this answer.
 * @param {string | undefined} sent the client's cursor
 * @param {number} unixMs
 * @returns {string}
 */
export function nextCursor(sent, unixMs) {
  const now = Math.floor((unixMs - CURSOR_EPOCH_MS) / CURSOR_INTERVAL_MS);
  const known = sent !== undefined && CURSOR.test(sent) ? Number(sent) : -1;
  if (known < now) return String(now);
  return String(known + 1 + Math.floor(Math.random() * CURSOR_STEPS_MAX));
}
