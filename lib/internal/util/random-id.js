/** Unguessable ids: 144 random bits after a prefix. The bytes come from one buffer for many ids. */
import { randomFillSync } from 'node:crypto';

const ID_BYTES = 18;
/** A call of the random generator costs as much as a hundred ids. */
const pool = Buffer.alloc(ID_BYTES * 256);
let used = pool.length;

/**
 * @param {string} prefix
 * @returns {string} unique
 */
export function randomId(prefix) {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString('base64url', used, used + ID_BYTES);
  // Issued ids do not stay in memory.
  pool.fill(0, used, used + ID_BYTES);
  used += ID_BYTES;
  return `${prefix}_${id}`;
}
