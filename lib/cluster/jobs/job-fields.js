/** A job as the fields of its hash in Redis, and back. Pure functions. */
import { JobRecord, choiceId } from '../../jobs/job.js';
import { estimatePromptTokens } from '../../jobs/prompt-tokens.js';
import { isObject } from '../../internal/util/validate.js';
import { SluiceError } from '../../internal/util/errors.js';
import { parseExact, stringifyExact } from '../../internal/util/exact-json.js';
import { withoutHistory } from '../../jobs/checked-request.js';

/** @typedef {'workflow' | 'crawl'} OperationKind */

/**
 * The fields of `job:<id>`; all are strings. `request` exists until the job has ended, for operations always;
 * `final` exists from then on.
 * @typedef {object} JobFields
 * @property {OperationKind} [kind] of an operation; absent for a job
 * @property {string} [snapshot] JSON: the state of an operation
 * @property {string} owner name of a process; `-`: none, the job is offered
 * @property {string} attempt
 * @property {string} lost number of its owners that died
 * @property {string} status
 * @property {string} principal
 * @property {string} model
 * @property {string} created_us Redis's Unix time
 * @property {string} choices
 * @property {string} max_wall_ms from its admission
 * @property {string} retention_ms from its end
 * @property {string} prompt_tokens counted by this process
 * @property {string} [request] JSON
 * @property {string} [metadata] JSON
 * @property {string} [extra] JSON
 * @property {string} [cache]
 * @property {string} [upstream]
 * @property {string} [started_ms]
 * @property {string} [ended_ms]
 * @property {string} [cancel] the reason of a cancellation that was asked for
 * @property {string} [taken] the outcome of its last takeover, and the former owner
 * @property {string} [key] Redis key of its idempotency key
 * @property {string} [held] JSON: resources held by its parts, until it has ended
 * @property {string} [refusal] JSON: the upstream's refusal of its call
 * @property {string} [final] JSON of its final state
 * @property {string} [settled] `1`: it has ended, and its owner writes its log and its ending again
 */

/**
 * The data of a job or an operation that other processes get.
 * @typedef {Pick<JobRecord, 'id' | 'principal' | 'model' | 'metadata' | 'extra' | 'usedKey' | 'cache'> &
 *   {request?: any, asked?: string | undefined, createdAtMs: number, kind?: OperationKind | undefined, body?: any,
 *   snapshot?: string | undefined}} Shared `body`: the request of an operation
 */

/**
 * @param {Shared} record
 * @param {{maxWallMs: number, retentionMs: number}} limits
 * @param {{whole?: boolean}} [options] `whole`: with the history of its conversation, which its heir would
 *   otherwise look up; default false
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
  // An operation does not wait in a queue.
  if (kind !== undefined) fields.push('status', 'running', 'started_ms', String(Date.now()));
  // An ended job no longer has its request.
  const asked = kind === undefined ? (kept ?? {}) : body;
  fields.push('model', model, 'request', stringifyExact(asked));
  fields.push('max_wall_ms', String(maxWallMs), 'retention_ms', String(retentionMs));
  fields.push('prompt_tokens', String(promptTokens));
  if (metadata !== undefined) fields.push('metadata', JSON.stringify(metadata));
  if (extra !== undefined) fields.push('extra', stringifyExact(extra));
  return fields;
}

/**
 * @param {string} name of the field
 * @param {unknown} [cause]
 */
function unreadable(name, cause) {
  const message = `The field ${name} of a job in Redis is not what it has to be.`;
  return new SluiceError('ERR_REDIS_DATA', message, { cause });
}

/**
 * @param {string | undefined} json
 * @param {string} name of the field
 * @param {(json: string) => any} [parse] default: with exact numbers
 * @returns {any} an object; undefined for an absent field
 * @throws {SluiceError} `ERR_REDIS_DATA` naming the field
 */
export function parseField(json, name, parse = parseExact) {
  if (json === undefined) return undefined;
  let value;
  try {
    value = parse(json);
  } catch (cause) {
    throw unreadable(name, cause);
  }
  if (!isObject(value)) throw unreadable(name);
  return value;
}

/**
 * @param {string | undefined} json the field `final`
 * @returns {import('../../streams/types.js').JobState | undefined} of a job that has ended
 * @throws {SluiceError} `ERR_REDIS_DATA`
 */
export function parseFinal(json) {
  const { state } = parseField(json, 'final', JSON.parse) ?? {};
  if (json === undefined) return undefined;
  if (!isObject(state) || typeof state.status !== 'string' || !isObject(state.metrics)) {
    throw unreadable('final');
  }
  return /** @type {any} */ (state);
}

/** @typedef {<T>(read: () => T) => T | undefined} ReadField runs `read`, which reads one field */

/**
 * Reads fields as another writer may have left them: one that cannot be read is logged and counts as absent.
 * @param {string} id of the job
 * @param {Pick<import('../../internal/util/logger.js').Logger, 'error'>} log
 * @returns {ReadField}
 */
export function tolerantRead(id, log) {
  return (read) => {
    try {
      return read();
    } catch (/** @type {any} */ err) {
      if (err.code !== 'ERR_REDIS_DATA') throw err;
      log.error({ err, job_id: id }, 'a field of a job in Redis cannot be read');
      return undefined;
    }
  };
}

/**
 * @param {string} id
 * @param {JobFields} fields
 * @param {ReadField} [read] default: throws what it throws
 * @returns {JobRecord} without a log; with its request while it has one
 * @throws {SluiceError} ERR_REDIS_DATA
 */
export function recordFrom(id, fields, read = (each) => each()) {
  const metadata = read(() => parseField(fields.metadata, 'metadata'));
  const request = read(() => parseField(fields.request, 'request'));
  const record = new JobRecord({
    principal: fields.principal,
    model: fields.model,
    request: request ?? {},
    createdAtMs: Math.floor(Number(fields.created_us) / 1000),
  });
  record.id = record.request_id = id;
  record.kind = fields.kind;
  record.request = request;
  record.metadata = metadata;
  record.extra = read(() => parseField(fields.extra, 'extra'));
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
