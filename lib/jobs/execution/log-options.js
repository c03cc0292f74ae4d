/** The options of the logs of a job. Pure functions. */
import { choiceId } from '../job.js';
import { estimatePromptTokens } from '../prompt-tokens.js';

/** @typedef {import('../job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/job-options.js').JobOptions} JobOptions */

/**
 * @param {JobRecord} record with its request
 * @param {Pick<JobOptions, 'onDisconnect' | 'disconnectGraceMs' | 'maxWallMs' | 'retentionMs'>} defaults
 *   of what the request does not set; `maxWallMs` counts from now
 * @returns {JobOptions}
 */
export function logOptions({ id, request, extra }, defaults) {
  const checked = /** @type {import('../checked-request.js').CheckedRequest} */ (request);
  return {
    ...defaults,
    jobId: id,
    onDisconnect: checked.on_disconnect ?? defaults.onDisconnect,
    disconnectGraceMs: checked.disconnect_grace_ms ?? defaults.disconnectGraceMs,
    promptTokens: estimatePromptTokens(checked),
    // A face writes its frames from the whole log.
    ...(extra?.face !== undefined && { announce: true, whole: true }),
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
