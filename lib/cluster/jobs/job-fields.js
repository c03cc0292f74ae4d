/** A job as the fields of its hash in Redis, and back. Pure functions. */
import { JobRecord, choiceId } from '../../jobs/job.js';
import { estimatePromptTokens } from '../../jobs/prompt-tokens.js';
import { SluiceError } from '../../internal/util/errors.js';
import { parseExact, stringifyExact } from '../../internal/util/exact-json.js';
import { withoutHistory } from '../../jobs/checked-request.js';

/** @typedef {'workflow' | 'crawl'} OperationKind */

/**
 * The fields of `job:<id>`; all are texts. `request` is there until the job has ended, of an operation always,
 * `final` from then on.
 * @typedef {object} JobFields
 * @property {OperationKind} [kind] of an operation; absent for a job
 * @property {string} [snapshot] JSON: what an operation has come to
 * @property {string} owner name of a process; `-`: none, it is offered
 * @property {string} attempt
 * @property {string} lost how many of its owners died
 * @property {string} status
 * @property {string} principal
 * @property {string} model
 * @property {string} created_us Redis's Unix time
 * @property {string} choices
 * @property {string} max_wall_ms from its admission
 * @property {string} retention_ms from its end
 * @property {string} prompt_tokens as this process would count them
 * @property {string} [request] JSON
 * @property {string} [metadata] JSON
 * @property {string} [extra] JSON
 * @property {string} [cache]
 * @property {string} [upstream]
 * @property {string} [started_ms]
 * @property {string} [ended_ms]
 * @property {string} [cancel] the reason of a cancellation that was asked for
 * @property {string} [taken] the outcome of its last takeover, and from whom
 * @property {string} [key] key of its idempotency key
 * @property {string} [held] JSON: what its parts hold, until it has ended
 * @property {string} [refusal] JSON: how the upstream refused its call
 * @property {string} [final] JSON of its final state
 */

/**
 * What a job or an operation is to other processes.
 * @typedef {Pick<JobRecord, 'id' | 'principal' | 'model' | 'metadata' | 'extra' | 'usedKey' | 'cache'> &
 *   {request?: any, asked?: string | undefined, createdAtMs: number, kind?: OperationKind | undefined, body?: any,
 *   snapshot?: string | undefined}} Shared `body`: the request of an operation
 */

/**
 * @param {Shared} record
 * @param {{maxWallMs: number, retentionMs: number}} limits
 * @param {{whole?: boolean}} [options] `whole`: with the history of its conversation, which its heir finds
 *   there otherwise; default false
 * @returns {string[]} name, value, name, value, ...
 */
export function jobFields(
  { kind, snapshot, model, request, body, metadata, extra },
  { maxWallMs, retentionMs },
  { whole = false } = {},
) {
  const promptTokens = request === undefined ? 0 : estimatePromptTokens(request);
  const kept = request === undefined || whole ? request : withoutHistory(request);
  const fields = kind === undefined ? [] : ['kind', kind, 'snapshot', snapshot ?? '{}'];
  // An operation waits for no place in a queue.
  if (kind !== undefined) fields.push('status', 'running', 'started_ms', String(Date.now()));
  fields.push('model', model, 'request', stringifyExact(kind === undefined ? kept : body));
  fields.push('max_wall_ms', String(maxWallMs), 'retention_ms', String(retentionMs));
  fields.push('prompt_tokens', String(promptTokens));
  if (metadata !== undefined) fields.push('metadata', JSON.stringify(metadata));
  if (extra !== undefined) fields.push('extra', stringifyExact(extra));
  return fields;
}

/**
 * @param {string | undefined} json
 * @param {string} name of the field
 * @returns {any} undefined for an absent field
 * @throws {SluiceError} naming the field
 */
export function parseField(json, name) {
  if (json === undefined) return undefined;
  try {
    return parseExact(json);
  } catch (cause) {
    const message = `The field ${name} of a job in Redis is not JSON.`;
    throw new SluiceError('ERR_REDIS_DATA', message, { cause });
  }
}

/**
 * @param {string} id
 * @param {JobFields} fields
 * @returns {JobRecord} without a log; with its request while it has one
 * @throws {SluiceError} ERR_REDIS_DATA
 */
export function recordFrom(id, fields) {
  const metadata = parseField(fields.metadata, 'metadata');
  const request = parseField(fields.request, 'request');
  const record = new JobRecord({
    principal: fields.principal,
    model: fields.model,
    request: request ?? { metadata },
    createdAtMs: Math.floor(Number(fields.created_us) / 1000),
  });
  record.id = record.request_id = id;
  record.kind = fields.kind;
  record.request = request;
  record.extra = parseField(fields.extra, 'extra');
  record.cache = /** @type {import('../../jobs/job.js').CacheResult | undefined} */ (fields.cache);
  record.ownUpstream = fields.upstream;
  record.attempts = fields.started_ms === undefined ? 0 : Number(fields.attempt);
  record.status = /** @type {import('../../jobs/request.js').JobStatus} */ (fields.status);
  return record;
}

/**
 * @param {string} id
 * @param {JobFields} fields
 * @returns {string[]} ids of the job's logs: its own, and those of its further choices
 */
export function logIds(id, { choices }) {
  const ids = [id];
  for (let choice = 1; choice < Number(choices); choice += 1) ids.push(choiceId(id, choice));
  return ids;
}
