/** A job in the JavaScript API: combines the main thread's record with the hub's state. */
import { badRequest } from '../internal/util/http-error.js';

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {import('./request.js').JobStatus} status
 * @property {string} model
 * @property {number} createdAt Unix seconds
 * @property {string} [upstream] upstream of its last attempt, if the provider has several
 * @property {string} [text] text produced so far; absent in lists
 * @property {boolean} [textTruncated] true when the oldest text was dropped
 * @property {string} [reasoning] present with `text`, if there is any; like the two below
 * @property {string} [refusal]
 * @property {import('../streams/types.js').ToolCall[]} [toolCalls]
 * @property {import('../streams/events.js').EventUsage} usage
 * @property {import('../streams/events.js').EventMetrics} metrics as in the terminal event
 * @property {{code: string, message: string, type: string}} [error] of a failed job
 * @property {string} [reason] reason of the completion or cancellation
 * @property {string} [stopSequence] the stop string that ended its text, if known
 * @property {import('./job.js').CacheResult} [cache] source of its answer, if it may be shared
 * @property {Record<string, unknown>} [metadata] as submitted
 * @property {string} [conversationId] conversation of its turn
 */

/**
 * A page of jobs, newest first, without their texts.
 * @param {import('../streams/hub.js').JobHub} hub
 * @param {import('./job-table.js').JobTable} jobs
 * @param {Parameters<import('./job-table.js').JobTable['list']>[0]} query checked
 * @returns {Promise<{data: Job[], hasMore: boolean}>}
 * @throws {import('../internal/util/http-error.js').HttpError} 400 when `after` is unknown
 */
export async function describeJobs(hub, jobs, query) {
  const found = jobs.list(query);
  if (found === undefined) {
    throw badRequest('invalid_value', 'after', 'after must be the id of a job that is kept.');
  }
  const described = await Promise.all(
    found.page.map((record) => describeJob(hub, record, { text: false })),
  );
  // A job's status may have changed since the page was chosen.
  const { status } = query;
  const data = described.filter(
    (job) => job !== undefined && (status === undefined || job.status === status),
  );
  return { data: /** @type {Job[]} */ (data), hasMore: found.hasMore };
}

/**
 * @param {import('../streams/hub.js').JobHub} hub
 * @param {import('./job.js').JobRecord} record
 * @param {{text: boolean}} options
 * @returns {Promise<Job | undefined>} undefined if it was purged meanwhile
 */
export async function describeJob(hub, record, { text }) {
  const listed = !text && record.ended;
  const state = listed ? record.final : await hub.snapshot(record.handle, { text });
  return state === null ? undefined : describeState(record, state, { text });
}

/**
 * @param {import('./job.js').JobRecord} record
 * @param {any} state of the hub
 * @param {{text: boolean}} options
 * @returns {Job}
 */
export function describeState(record, state, { text }) {
  const conversationId = record.extra?.conversation_id;
  return {
    id: record.id,
    status: state.status,
    model: record.model,
    createdAt: Math.floor(record.createdAtMs / 1000),
    ...(record.upstream !== undefined && { upstream: record.upstream }),
    ...(text && { text: state.text }),
    ...(text && state.text_truncated && { textTruncated: true }),
    ...(state.reasoning && { reasoning: state.reasoning }),
    ...(state.refusal && { refusal: state.refusal }),
    ...(state.tool_calls && { toolCalls: state.tool_calls }),
    usage: state.usage,
    metrics: state.metrics,
    ...(state.error && { error: state.error }),
    ...(state.reason && { reason: state.reason }),
    ...(state.stop_sequence !== undefined && { stopSequence: state.stop_sequence }),
    ...(record.cache && { cache: record.cache }),
    ...(record.metadata && { metadata: record.metadata }),
    ...(typeof conversationId === 'string' && { conversationId }),
  };
}
