/** Entries of the audit log, in any storage. */
import { createHash } from 'node:crypto';
import {
  checkChoice,
  checkId,
  checkInteger,
  checkNumber,
  checkOptions,
  checkString,
} from '../../internal/util/validate.js';
import { rangeError, typeError } from '../../internal/util/errors.js';

/**
 * Progress of an action: `started` until its answer is known, and forever if the process ended before;
 * `denied`: the caller lacked the right.
 * @typedef {'started' | 'success' | 'denied' | 'failure'} AuditOutcome
 */

/**
 * @typedef {object} AuditEntry
 * @property {string} id later entries have greater ids
 * @property {number} atMs Unix time
 * @property {string | null} actor principal of the caller; null: the process itself, for example on SIGHUP
 * @property {string} action for example `job.cancel`
 * @property {string | null} target id or name of the object
 * @property {AuditOutcome} outcome
 * @property {number} [status] of the answer over HTTP
 * @property {string} [code] of the error
 * @property {string} [requestId]
 * @property {Record<string, AuditDetail>} [details]
 */

/** @typedef {string | number | boolean} AuditDetail */

/**
 * @typedef {object} AuditQuery
 * @property {number} [limit] default 20
 * @property {string} [after] id of the last entry of the previous page
 * @property {string} [actor]
 * @property {string} [action]
 * @property {string} [target] name or id, also of an erased object
 * @property {AuditOutcome} [outcome]
 * @property {number} [fromMs] Unix time
 * @property {number} [toMs] Unix time, exclusive
 */

export const AUDIT_OUTCOMES = Object.freeze(
  /** @type {AuditOutcome[]} */ (['started', 'success', 'denied', 'failure']),
);
export const AUDIT_ID = /^audit_\d{15}$/;

export const ID_DIGITS = 15;
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;
const DETAILS_MAX = 20;
const TEXT_FILTERS = /** @type {const} */ (['after', 'actor', 'action', 'target']);
const TIME_FILTERS = /** @type {const} */ (['fromMs', 'toMs']);
const ANY_TIME = { min: 0, max: Infinity, unit: 'milliseconds since 1970' };
const QUERY_NAMES = ['limit', 'after', 'actor', 'action', 'target', 'outcome', 'fromMs', 'toMs'];
const TEXT_MAX = 256;
const DIGEST_DIGITS = 24;
/** Prefix of the replacement of an erased name. */
export const ERASED = 'erased:';

/** @param {string} text @returns {string} at most TEXT_MAX characters of it */
export function shortened(text) {
  // The cut may fall inside a surrogate pair.
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1).toWellFormed()}…` : text;
}

/**
 * @param {string} text name of a caller, or id of an object
 * @returns {string} a replacement that is recognizable only with knowledge of the text
 */
export function erasedName(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${ERASED}${hex.slice(0, DIGEST_DIGITS)}`;
}

/** @param {string} id @returns {string} its part after the prefix for the kind */
export const suffixOf = (id) => id.slice(id.indexOf('_') + 1);

/** @param {number} status @returns {AuditOutcome} */
function outcomeOf(status) {
  if (status < 400) return 'success';
  return status === 401 || status === 403 ? 'denied' : 'failure';
}

/** @param {unknown} details */
function checkDetails(details = {}) {
  const takes = 'details takes an object of strings, numbers and booleans';
  if (typeof details !== 'object' || details === null) throw typeError(takes);
  const values = Object.values(details);
  if (values.length > DETAILS_MAX) throw rangeError(`details takes up to ${DETAILS_MAX} members`);
  for (const value of values) {
    if (!['string', 'number', 'boolean'].includes(typeof value)) throw typeError(takes);
  }
}

/**
 * @param {object} subject
 * @param {string | null} subject.actor
 * @param {string} subject.action
 * @param {string | null} [subject.target]
 * @param {string} [subject.requestId]
 * @param {number} atMs
 * @returns {Omit<AuditEntry, 'id'>} entry of an action that begins
 */
export function startedEntry({ actor, action, target = null, requestId }, atMs) {
  return {
    atMs,
    actor: actor === null ? null : shortened(actor),
    action,
    target: target === null ? null : shortened(target),
    outcome: 'started',
    ...(requestId !== undefined && { requestId }),
  };
}

/**
 * An ended action.
 * @typedef {object} EndedAction
 * @property {string | null} [actor] null, the default: the process itself
 * @property {string} action for example `user.suspend`
 * @property {string} [target]
 * @property {string} [requestId]
 * @property {Record<string, AuditDetail>} [details]
 * @property {string} [code] of the error; default: success
 */

/**
 * Records an ended action.
 * @param {Pick<AuditPort, 'begin'>} log
 * @param {EndedAction} ended
 */
export function recordIn(log, ended) {
  const names = ['actor', 'action', 'target', 'requestId', 'details', 'code'];
  const { details, code, ...given } = checkOptions('record', ended, names);
  const { actor = null, target, requestId } = given;
  const action = checkId('action', given.action);
  for (const [key, value] of Object.entries({ actor, target, requestId, code })) {
    if (value !== undefined && value !== null) checkString(key, value);
  }
  checkDetails(details);
  const trail = log.begin({ actor, action, target, requestId });
  if (details !== undefined) trail.note({ details });
  trail.end({ code });
}

/**
 * @param {AuditQuery} [query]
 * @returns {{limit: number, after: string | undefined, matches: (entry: AuditEntry) => boolean}}
 */
export function checkQuery(query) {
  const { after, ...filters } = checkOptions('list', query, QUERY_NAMES);
  const limit = checkInteger('limit', filters.limit, { max: LIMIT_MAX, fallback: LIMIT_DEFAULT });
  if (filters.outcome !== undefined) checkChoice('outcome', filters.outcome, AUDIT_OUTCOMES);
  for (const name of TEXT_FILTERS) {
    if (query?.[name] !== undefined) checkString(name, query[name]);
  }
  for (const name of TIME_FILTERS) {
    if (filters[name] !== undefined) checkNumber(name, filters[name], ANY_TIME);
  }
  return { limit, after, matches: matcherOf(filters) };
}

/**
 * @template {Pick<AuditEntry, 'actor' | 'target' | 'details'>} T
 * @param {T} entry
 * @param {string} name of a caller, in the format of entries
 * @param {boolean} erases whether the stored target is a digest
 * @returns {T | undefined} the entry without the name; undefined: the entry does not contain the name
 */
export function withoutCaller(entry, name, erases) {
  const isActor = entry.actor === name;
  const details = Object.entries(entry.details ?? {});
  const isNamed = entry.target === name || details.some(([, value]) => value === name);
  if (!isActor && !isNamed) return undefined;
  const hidesTarget = entry.target !== null && !erases && (isActor || entry.target === name);
  const renamed = details.map(([key, value]) => [key, value === name ? erasedName(name) : value]);
  return {
    ...entry,
    ...(hidesTarget && { target: erasedName(/** @type {string} */ (entry.target)) }),
    ...(isActor && { actor: erasedName(name) }),
    ...(entry.details !== undefined && { details: Object.fromEntries(renamed) }),
  };
}

/**
 * Port of the audit log for routes.
 * @typedef {object} AuditPort
 * @property {number} bytes approximate bytes in memory
 * @property {(subject: {actor: string | null, action: string, target?: string | null, requestId?: string,
 *   erases?: boolean}) => AuditTrail} begin records the start of an action; `erases`: it erases its target
 * @property {(ended: EndedAction) => void} record
 * @property {(query?: AuditQuery) => AuditPage | Promise<AuditPage>} list returns a page, newest first
 */

/** @typedef {{data: AuditEntry[], hasMore: boolean}} AuditPage */

/**
 * @param {AuditQuery} filters
 * @returns {(entry: AuditEntry) => boolean}
 */
function matcherOf({ actor, action, target, outcome, fromMs = 0, toMs = Infinity }) {
  const is = (/** @type {string | undefined} */ wanted) => {
    const names = wanted === undefined ? [] : [shortened(wanted), erasedName(shortened(wanted))];
    return (/** @type {string | null} */ name) =>
      wanted === undefined || names.includes(/** @type {string} */ (name));
  };
  const [isActor, isTarget] = [is(actor), is(target)];
  return (entry) =>
    isActor(entry.actor) &&
    isTarget(entry.target) &&
    (action === undefined || entry.action === action) &&
    (outcome === undefined || entry.outcome === outcome) &&
    entry.atMs >= fromMs &&
    entry.atMs < toMs;
}

/** The entry of a running action. Ends with `end`. */
export class AuditTrail {
  #entry;
  #write;
  #count;

  /**
   * @param {Omit<AuditEntry, 'id'>} entry
   * @param {() => void} write
   * @param {() => void} count
   */
  constructor(entry, write, count) {
    this.#entry = entry;
    this.#write = write;
    this.#count = count;
  }

  /**
   * Adds details.
   * @param {{target?: string, details?: Record<string, AuditDetail | undefined>}} fields undefined details
   *   are left out
   */
  note({ target, details = {} }) {
    const known = Object.entries(details).filter(([, value]) => value !== undefined);
    const short = known.map(([key, value]) => [
      key,
      typeof value === 'string' ? shortened(value) : value,
    ]);
    if (target !== undefined) this.#entry.target = shortened(target);
    if (short.length > 0) {
      this.#entry.details = { ...this.#entry.details, ...Object.fromEntries(short) };
    }
    this.#write();
  }

  /**
   * @param {object} answer
   * @param {number} [answer.status] of HTTP; default: no answer was sent; success unless `code` is set
   * @param {string} [answer.code] of the error
   */
  end({ status, code }) {
    const entry = this.#entry;
    if (status !== undefined) entry.status = status;
    if (code) entry.code = code;
    entry.outcome = status === undefined ? (code ? 'failure' : 'success') : outcomeOf(status);
    this.#write();
    this.#count();
  }
}
