/** The public events of jobs: `gateway.on('job', listener)`. Main thread. */

/**
 * One change in the life of a job.
 * @typedef {object} JobEvent
 * @property {'queued' | 'started' | 'retry' | 'ended' | 'purged'} type `queued`: entered the queue;
 *   `started`: its first attempt begins; `retry`: a further attempt begins; `ended`: its terminal
 *   event is written; `purged`: its log is deleted. A job that replays a finished answer has no
 *   `started`
 * @property {string} id
 * @property {string} principal
 * @property {string} model
 * @property {boolean} child true for a job of a workflow
 * @property {number} attempt from 1; 0 before the first one
 * @property {string} [upstream] of this attempt, if the provider has several
 * @property {import('../jobs/request.js').JobStatus} status after the change
 * @property {'hit' | 'miss' | 'join'} [cache] source of its answer, if answers are shared
 * @property {string} [reason] of `ended`: as in the terminal event
 * @property {{code: string, message: string, type: string}} [error] of `ended`, if it failed
 * @property {{prompt_tokens: number, completion_tokens: number}} [usage] of `ended`
 * @property {import('../streams/types.js').JobState['metrics']} [metrics] of `ended`
 */

const TYPES = /** @type {const} */ (['queued', 'started', 'retry', 'ended', 'purged']);

/**
 * @param {JobEvent['type']} type
 * @param {import('../jobs/job.js').JobRecord} record
 * @returns {JobEvent}
 */
function describe(type, record) {
  const { id, principal, model, part, attempts, status, cache, final, upstream } = record;
  const event = {
    type,
    id,
    principal,
    model,
    child: part !== undefined,
    attempt: attempts,
    status,
  };
  if (cache !== undefined) Object.assign(event, { cache });
  if (upstream !== undefined) Object.assign(event, { upstream });
  if (type !== 'ended') return event;
  const { reason, error, usage, metrics } = final;
  return { ...event, ...(reason && { reason }), ...(error && { error }), usage, metrics };
}

/**
 * @param {{lifecycle: import('../jobs/execution/lifecycle.js').JobLifecycle,
 *   options: {logger: import('../internal/util/logger.js').Logger}}} parts
 * @param {import('node:events').EventEmitter<{job: [event: JobEvent]}>} target
 */
export function forwardJobEvents({ lifecycle, options }, target) {
  for (const type of TYPES) {
    lifecycle.on(type, (/** @type {import('../jobs/job.js').JobRecord} */ record) => {
      if (target.listenerCount('job') === 0) return;
      try {
        target.emit('job', describe(type, record));
      } catch (err) {
        options.logger.error({ err, job_id: record.id, type }, 'a listener of job events threw');
      }
    });
  }
}
