/** Ids of faces: the prefix of a face and a common tail of 24 characters. Pure functions. */

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */

const JOB_PREFIX = 'job_';

/** @param {JobRecord} record @returns {string} the part of its id common to all faces */
export function tailOf({ id }) {
  return id.slice(JOB_PREFIX.length);
}

/**
 * @param {string} prefix of the face, with its separator
 * @param {string} id of the face
 * @returns {string} id of the job; an unknown id if the prefix differs
 */
export function jobIdOf(prefix, id) {
  return id.startsWith(prefix) ? JOB_PREFIX + id.slice(prefix.length) : '';
}

/**
 * Data that a face stores with its job.
 * @param {JobRecord | undefined} record
 * @param {string} dialect
 * @returns {any} undefined for a job of another face
 */
export function faceOf(record, dialect) {
  const face = /** @type {any} */ (record?.extra?.face);
  return face?.dialect === dialect ? face : undefined;
}
