/**
 * What goes into a hub and comes out of it, as types. This file has no code.
 */

/**
 * @typedef {object} TerminalInput how a job ends
 * @property {'complete' | 'error' | 'cancelled'} type
 * @property {string} [reason] of complete (`stop`, `length`) and cancelled
 * @property {{code: string, message: string, type: string}} [error] of error
 * @property {{prompt_tokens: number, completion_tokens: number}} [usage] default: counted here
 * @property {object} [details] what else the terminal event says, beside its id, cause and metrics
 */

/**
 * What a log is about: it names the id and the events, `workflow_id` and `workflow_complete`.
 * @typedef {'job' | 'workflow' | 'crawl'} JobKind
 */

/**
 * A job's tokens are to be in the log of a larger work, too.
 * @typedef {object} Feed
 * @property {number} into the work's handle; the job has to be made `near` it
 * @property {object} members what the work's `token` events say beside the token
 */

/**
 * @typedef {object} JobState
 * @property {'queued' | 'running' | 'completed' | 'failed' | 'cancelled'} status
 * @property {number} attempt
 * @property {string} last_event_id
 * @property {{prompt_tokens: number, completion_tokens: number}} usage
 * @property {{queue_ms: number, ttft_ms: number | null, duration_ms: number, tokens: number,
 *   tokens_per_second: number}} metrics
 * @property {string} [text] of this attempt, as far as it is retained
 * @property {number} text_bytes of the retained text
 * @property {boolean} [text_truncated] the log's byte cap has dropped the beginning of `text`
 * @property {{code: string, message: string, type: string}} [error]
 * @property {string} [reason]
 */

export {};
