/** Ids of faces: one tail of 24 characters under the prefix of each. Pure functions. */

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

const JOB_PREFIX = 'job_';

/** @param {JobRecord} record @returns {string} the part of its id that all faces share */
export function tailOf({ id }) {
  return id.slice(JOB_PREFIX.length);
}

/**
 * @param {string} prefix of the face, with its separator
 * @param {string} id of the face
 * @returns {string} id of the job; of no job when the prefix is another
 */
export function jobIdOf(prefix, id) {
  return id.startsWith(prefix) ? JOB_PREFIX + id.slice(prefix.length) : '';
}

/**
 * What a face keeps with its job.
 * @param {JobRecord | undefined} record
 * @param {string} dialect
 * @returns {any} undefined for a job of another face
 */
export function faceOf(record, dialect) {
  const face = /** @type {any} */ (record?.extra?.face);
  return face?.dialect === dialect ? face : undefined;
}
