/**
 * Jobs and usage as rows of the data file, and back. Pure functions.
 *
 * A job's row holds the readable state of a finished job: its text, model, metadata and times, without
 * its prompt.
 */
import { stringifyExact } from '../../internal/util/exact-json.js';

/** @typedef {import('../../streams/types.js').RestoredJob} RestoredJob */

/** The columns of a job, in their order in the file. */
const COLUMNS = /** @type {const} */ ([
  'number',
  'id',
  'principal',
  'model',
  'created_at_ms',
  'metadata',
  'cache',
  'prompt_tokens',
  'attempt',
  'started_ns',
  'first_token_ns',
  'ended_ns',
  'ended_at_ms',
  'status',
  'reason',
  'error_code',
  'error_message',
  'error_type',
  'usage_prompt_tokens',
  'usage_completion_tokens',
  'details',
  'skipped_ids',
  'extra',
  'usage',
  'raw_reason',
  'head',
  'retry',
  'whole',
  'counted',
]);

/**
 * @param {any[]} row
 * @returns {Record<(typeof COLUMNS)[number], any>}
 */
export function namedJob(row) {
  return /** @type {any} */ (Object.fromEntries(COLUMNS.map((name, i) => [name, row[i]])));
}

/**
 * Rows of older files have only the two counts.
 * @param {ReturnType<typeof namedJob>} row
 * @returns {Pick<NonNullable<RestoredJob['terminal']>, 'usage' | 'usageJson'>}
 */
function usageOf(row) {
  const { usage_prompt_tokens: prompt, usage_completion_tokens: completion, usage: json } = row;
  if (prompt === null) return {};
  const counts = { prompt_tokens: prompt, completion_tokens: completion };
  if (json === null) return { usage: counts };
  return { usage: { ...JSON.parse(json), ...counts }, usageJson: json };
}

/**
 * @param {ReturnType<typeof namedJob>} row of a job that has ended
 * @returns {NonNullable<RestoredJob['terminal']>}
 */
function terminalOf(row) {
  const rest = { ...usageOf(row), details: row.details ?? '{}' };
  if (row.status === 'failed') {
    const error = { code: row.error_code, message: row.error_message, type: row.error_type };
    return { type: 'error', error, ...rest };
  }
  const type = row.status === 'completed' ? 'complete' : 'cancelled';
  const rawReason = row.raw_reason !== null && { rawReason: row.raw_reason };
  return { type, reason: row.reason ?? '', ...rawReason, ...rest };
}

/**
 * @param {ReturnType<typeof namedJob>} row
 * @param {any[][]} tokens
 * @param {{nowMs: number, retentionMs: number}} times Unix time
 * @returns {RestoredJob}
 */
export function restoredJob(row, tokens, { nowMs, retentionMs }) {
  const ended = row.ended_at_ms !== null;
  return {
    jobId: row.id,
    record: row.number,
    promptTokens: row.prompt_tokens,
    attempt: row.attempt,
    startedNs: row.started_ns,
    firstTokenNs: row.first_token_ns,
    endedNs: row.ended_ns,
    skippedIds: row.skipped_ids,
    head: row.head === null ? undefined : JSON.parse(row.head),
    retryMembers: row.retry ?? '',
    whole: row.whole === 1,
    // A clock that was set back must not give a negative age.
    ageMs: Math.max(0, nowMs - row.created_at_ms),
    retentionLeftMs: ended ? Math.max(0, row.ended_at_ms + retentionMs - nowMs) : 0,
    terminal: ended ? terminalOf(row) : undefined,
    tokens,
  };
}

/**
 * @param {number} number
 * @param {Pick<import('../job.js').JobRecord, 'id' | 'principal' | 'model' | 'createdAtMs'>
 *   & {metadata?: unknown, cache?: string, extra?: unknown}} record
 * @param {number} promptTokens
 * @returns {import('./sqlite.js').Column[]} the values of `add_job`
 */
export function jobValues(number, record, promptTokens) {
  const { id, principal, model, createdAtMs, metadata, cache, extra } = record;
  const json = (/** @type {unknown} */ value) =>
    value === undefined ? null : stringifyExact(value);
  return [
    ...[number, id, principal, model, createdAtMs],
    ...[json(metadata), cache ?? null, promptTokens, json(extra)],
  ];
}

/**
 * Usage of one or more jobs.
 * @typedef {object} Counts
 * @property {number} requests all requests
 * @property {number} prompt_tokens of requests with an answer of their own
 * @property {number} completion_tokens
 * @property {number} cached_requests requests that shared another job's answer
 * @property {number} cached_prompt_tokens
 * @property {number} cached_completion_tokens
 * @property {bigint} cost in micro-credits
 */
/** @typedef {Counts & {hour: number, principal: string, model: string}} UsageRow */

const COUNTS = /** @type {const} */ ([
  'requests',
  'prompt_tokens',
  'completion_tokens',
  'cached_requests',
  'cached_prompt_tokens',
  'cached_completion_tokens',
]);

/**
 * @param {any[]} row values in the order of the file's columns
 * @returns {UsageRow}
 */
export function namedUsage([hour, principal, model, ...rest]) {
  const counts = Object.fromEntries(COUNTS.map((name, i) => [name, rest[i]]));
  return /** @type {any} */ ({ hour, principal, model, ...counts, cost: BigInt(rest.at(-1)) });
}

/**
 * @param {UsageRow} row
 * @param {string} [jobId] the job of this usage: nothing is added if it was counted before.
 *   Default: usage of several jobs
 * @returns {(string | import('./sqlite.js').Column[])[]} changes that add it to the totals
 */
export function usageChanges(row, jobId) {
  const { hour, principal, model, cost } = row;
  const counts = COUNTS.map((name) => row[name]);
  const changes = ['add_usage', [jobId, hour, principal, model, ...counts, cost]];
  changes.push('seal_usage', [hour, principal, model]);
  if (jobId !== undefined) changes.push('count_job', [jobId]);
  return changes;
}
