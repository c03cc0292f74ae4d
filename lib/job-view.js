/**
 * A job as the JavaScript API shows it: what the main thread knows of it and what the hub knows.
 */

/**
 * @typedef {object} Job
 * @property {string} id
 * @property {import('./job-table.js').JobStatus} status
 * @property {string} model
 * @property {number} createdAt Unix seconds
 * @property {string} [text] what has been produced so far; absent in lists
 * @property {boolean} [textTruncated] true when the oldest text was dropped
 * @property {{prompt_tokens: number, completion_tokens: number}} usage
 * @property {object} metrics as in the terminal event
 * @property {{code: string, message: string, type: string}} [error] of a failed job
 * @property {string} [reason] why it completed or was cancelled
 * @property {Record<string, unknown>} [metadata] as submitted
 */

/**
 * @param {import('./job-hub.js').JobHub} hub
 * @param {import('./job-table.js').JobRecord} record
 * @param {{text: boolean}} options
 * @returns {Promise<Job | undefined>} undefined when it was purged meanwhile
 */
export async function describeJob(hub, record, { text }) {
  const listed = !text && record.ended;
  const state = listed ? record.final : await hub.snapshot(record.handle, { text });
  if (state === null) return undefined;
  return {
    id: record.id,
    status: state.status,
    model: record.model,
    createdAt: Math.floor(record.createdAtMs / 1000),
    ...(text && { text: state.text }),
    ...(text && state.text_truncated && { textTruncated: true }),
    usage: state.usage,
    metrics: state.metrics,
    ...(state.error && { error: state.error }),
    ...(state.reason && { reason: state.reason }),
    ...(record.metadata && { metadata: record.metadata }),
  };
}
