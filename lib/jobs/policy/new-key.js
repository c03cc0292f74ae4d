/** Creates keys. Pure except for the random bytes. */
import { createHash, randomBytes } from 'node:crypto';

/** Random bytes in a key. */
const KEY_BYTES = 32;
const ID_BYTES = 4;

/**
 * @returns {{key: string, sha256: string}} a new key, and its hash for the configuration
 */
export function newKey() {
  // The prefix makes a key recognizable to people and to scanners for leaked secrets.
  const key = `sluice_${randomBytes(KEY_BYTES).toString('base64url')}`;
  return { key, sha256: createHash('sha256').update(key).digest('hex') };
}

/** @returns {string} an id for a key without a name */
export function newKeyId() {
  return `key_${randomBytes(ID_BYTES).toString('hex')}`;
}
