/** The states that a job passes through. */

/** @typedef {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} JobStatus */

/** Every status, in the order that a job may pass through them. */
export const jobStatuses = Object.freeze(
  /** @type {JobStatus[]} */ (['queued', 'running', 'completed', 'failed', 'cancelled']),
);
