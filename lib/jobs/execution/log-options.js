/** The options of the logs of a job. Pure functions. */
import { choiceId } from '../job.js';
import { estimatePromptTokens } from '../prompt-tokens.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/job-options.js').JobOptions} JobOptions */

/**
 * @param {JobRecord} record with its request
 * @param {Pick<JobOptions, 'onDisconnect' | 'disconnectGraceMs'>} defaults for options that the request does not
 *   set
 * @param {number} maxWallMs from now
 * @param {number} retentionMs
 * @returns {JobOptions & {near?: number}} always with all members, so that V8 uses one shape
 */
export function logOptions({ id, request, extra }, defaults, maxWallMs, retentionMs) {
  const checked = /** @type {import('../checked-request.js').CheckedRequest} */ (request);
  // A face encodes its frames from the whole log.
  const hasFace = extra?.face !== undefined;
  return {
    jobId: id,
    onDisconnect: checked.on_disconnect ?? defaults.onDisconnect,
    disconnectGraceMs: checked.disconnect_grace_ms ?? defaults.disconnectGraceMs,
    maxWallMs,
    retentionMs,
    promptTokens: estimatePromptTokens(checked),
    announce: hasFace,
    whole: hasFace,
    settles: undefined,
    record: undefined,
    copyTo: undefined,
    near: undefined,
  };
}

/**
 * @param {JobRecord} record
 * @param {number} choice from 1
 * @returns {JobOptions} of the log of a further answer, which has no reader of its own and no limits
 */
export function choiceLogOptions({ id, extra }, choice) {
  return {
    jobId: choiceId(id, choice),
    onDisconnect: 'continue',
    disconnectGraceMs: 0,
    maxWallMs: Infinity,
    retentionMs: Infinity,
    announce: extra?.face !== undefined,
    whole: true,
  };
}
