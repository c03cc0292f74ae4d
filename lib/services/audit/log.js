import { createHash } from 'node:crypto';
import { Retained } from '../../jobs/retained.js';
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
 * Progress of an action: `started` until its answer is known, and for ever if the process ended before;
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
 * @property {string} [after] id of the last entry of the page before
 * @property {string} [actor]
 * @property {string} [action]
 * @property {string} [target] name or id, also of something that was erased
 * @property {AuditOutcome} [outcome]
 * @property {number} [fromMs] Unix time
 * @property {number} [toMs] Unix time, exclusive
 */

/**
 * Persistent storage of entries.
 * @typedef {object} AuditJournal
 * @property {() => Iterable<AuditEntry>} all those of earlier processes, oldest first
 * @property {(entry: AuditEntry) => void} write adds an entry, or replaces that of the same id
 * @property {(id: string) => void} remove
 */

/** @typedef {{principal: string, entry: AuditEntry, erases: boolean, bytes: number}} AuditRecord */

export const AUDIT_OUTCOMES = Object.freeze(
  /** @type {AuditOutcome[]} */ (['started', 'success', 'denied', 'failure']),
);
export const AUDIT_ID = /^audit_\d{15}$/;

const ID_DIGITS = 15;
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;
const DETAILS_MAX = 20;
const TEXT_FILTERS = /** @type {const} */ (['after', 'actor', 'action', 'target']);
const TIME_FILTERS = /** @type {const} */ (['fromMs', 'toMs']);
const ANY_TIME = { min: 0, max: Infinity, unit: 'milliseconds since 1970' };
const QUERY_NAMES = ['limit', 'after', 'actor', 'action', 'target', 'outcome', 'fromMs', 'toMs'];
const TEXT_MAX = 256;
const DIGEST_DIGITS = 24;

/** @param {string} text @returns {string} at most TEXT_MAX characters of it */
function shortened(text) {
  // The cut may fall inside a surrogate pair.
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1).toWellFormed()}…` : text;
}

/**
 * @param {string} text name of a caller, or id of an object
 * @returns {string} a replacement that only a person who knows the text can recognize
 */
export function erasedName(text) {
  const hex = createHash('sha256').update(text).digest('hex');
  return `erased:${hex.slice(0, DIGEST_DIGITS)}`;
}

/** @param {string} id @returns {string} its part behind the prefix that names the kind */
const suffixOf = (id) => id.slice(id.indexOf('_') + 1);

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
 * Record of the actions of callers: who did what to which object, when, and with which result. An entry is
 * written before its action begins, and completed afterwards. Beyond `maxEntries` the oldest entry of the
 * actor with the most entries is dropped, so that a busy caller cannot displace the entries of others.
 *
 * With a journal the entries survive a restart. There, the target of an action that erases is a digest, so
 * that no id of an erased object stays on the disk. Main thread; lives as long as its gateway.
 */
export class AuditLog {
  #maxEntries;
  #unixMs;
  #journal;
  #metrics;
  /** @type {Map<string, AuditRecord>} by id, oldest first */
  #records = new Map();
  /** @type {Retained<AuditRecord>} */
  #byActor = new Retained();
  #seq = 0;
  #bytes = 0;

  /**
   * @param {object} deps
   * @param {number} deps.maxEntries
   * @param {() => number} deps.unixMs
   * @param {AuditJournal} [deps.journal] undefined: entries are in memory alone
   * @param {{auditEntries: {inc: (labels: {action: string, outcome: string}) => void},
   *   auditDropped: {inc: () => void}}} deps.metrics
   */
  constructor({ maxEntries, unixMs, journal, metrics }) {
    this.#maxEntries = maxEntries;
    this.#unixMs = unixMs;
    this.#journal = journal;
    this.#metrics = metrics;
    for (const entry of journal?.all() ?? []) {
      this.#seq = Number(entry.id.slice(-ID_DIGITS));
      this.#add({ principal: entry.actor ?? '', entry, erases: false, bytes: 0 });
    }
  }

  /** Approximate bytes in memory. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * Records the start of an action.
   * @param {object} subject
   * @param {string | null} subject.actor
   * @param {string} subject.action
   * @param {string | null} [subject.target]
   * @param {string} [subject.requestId]
   * @param {boolean} [subject.erases] whether the action erases its target; default false
   * @returns {AuditTrail}
   */
  begin({ actor, action, target = null, requestId, erases = false }) {
    this.#seq += 1;
    /** @type {AuditEntry} */
    const entry = {
      id: `audit_${String(this.#seq).padStart(ID_DIGITS, '0')}`,
      atMs: this.#unixMs(),
      actor: actor === null ? null : shortened(actor),
      action,
      target: target === null ? null : shortened(target),
      outcome: 'started',
      ...(requestId !== undefined && { requestId }),
    };
    const record = { principal: entry.actor ?? '', entry, erases, bytes: 0 };
    this.#add(record);
    this.#write(record);
    return new AuditTrail(
      entry,
      () => this.#write(record),
      () => this.#metrics.auditEntries.inc({ action, outcome: entry.outcome }),
    );
  }

  /**
   * Records an action that has ended.
   * @param {object} action
   * @param {string | null} [action.actor] null, the default: the process itself
   * @param {string} action.action for example `user.suspend`
   * @param {string} [action.target]
   * @param {string} [action.requestId]
   * @param {Record<string, AuditDetail>} [action.details]
   * @param {string} [action.code] of the error; default: it was a success
   */
  record(action) {
    const names = ['actor', 'action', 'target', 'requestId', 'details', 'code'];
    const { details, code, ...given } = checkOptions('record', action, names);
    const { actor = null, target, requestId } = given;
    const name = checkId('action', given.action);
    for (const [key, value] of Object.entries({ actor, target, requestId, code })) {
      if (value !== undefined && value !== null) checkString(key, value);
    }
    checkDetails(details);
    const trail = this.begin({ actor, action: name, target, requestId });
    if (details !== undefined) trail.note({ details });
    trail.end({ code });
  }

  /** @param {AuditRecord} record */
  #add(record) {
    this.#records.set(record.entry.id, record);
    this.#byActor.add(record);
    while (this.#records.size > this.#maxEntries) {
      const { entry, bytes } = /** @type {AuditRecord} */ (this.#byActor.oldestOfMost());
      this.#byActor.delete(/** @type {AuditRecord} */ (this.#records.get(entry.id)));
      this.#records.delete(entry.id);
      this.#bytes -= bytes;
      this.#journal?.remove(entry.id);
      this.#metrics.auditDropped.inc();
    }
    this.#measure(record);
  }

  /** @param {AuditRecord} record */
  #measure(record) {
    // A dropped entry takes no room.
    if (!this.#records.has(record.entry.id)) return;
    const bytes = JSON.stringify(record.entry).length;
    this.#bytes += bytes - record.bytes;
    record.bytes = bytes;
  }

  /** @param {AuditRecord} record added or changed */
  #write(record) {
    const { entry, erases } = record;
    if (!this.#records.has(entry.id)) return;
    this.#measure(record);
    const target = erases && entry.target !== null ? erasedName(entry.target) : entry.target;
    this.#journal?.write({ ...entry, target });
  }

  /**
   * A page of entries, newest first.
   * @param {AuditQuery} [query]
   * @returns {{data: AuditEntry[], hasMore: boolean}}
   */
  list(query) {
    const { after, ...filters } = checkOptions('list', query, QUERY_NAMES);
    const limit = checkInteger('limit', filters.limit, { max: LIMIT_MAX, fallback: LIMIT_DEFAULT });
    if (filters.outcome !== undefined) checkChoice('outcome', filters.outcome, AUDIT_OUTCOMES);
    for (const name of TEXT_FILTERS) {
      if (query?.[name] !== undefined) checkString(name, query[name]);
    }
    for (const name of TIME_FILTERS) {
      if (filters[name] !== undefined) checkNumber(name, filters[name], ANY_TIME);
    }
    const data = [];
    const matches = matcherOf(filters);
    for (const { entry } of [...this.#records.values()].reverse()) {
      if ((after !== undefined && entry.id >= after) || !matches(entry)) continue;
      if (data.length === limit) return { data, hasMore: true };
      data.push({ ...entry });
    }
    return { data, hasMore: false };
  }

  /**
   * Replaces the id of an erased job, under all of its names (`job_X`, `resp_X`).
   * @param {string} id
   */
  eraseJob(id) {
    for (const record of this.#records.values()) {
      const { entry, erases } = record;
      // The entry of the erasure itself shows the id until the process ends.
      if (erases || entry.target === null || suffixOf(entry.target) !== suffixOf(id)) continue;
      entry.target = erasedName(entry.target);
      this.#write(record);
    }
  }

  /**
   * Replaces the name of an erased caller, and all ids in the caller's entries.
   * @param {string} principal
   */
  erasePrincipal(principal) {
    const name = shortened(principal);
    for (const record of [...this.#records.values()]) {
      const { entry } = record;
      const isActor = entry.actor === name;
      const details = Object.entries(entry.details ?? {});
      const isNamed = entry.target === name || details.some(([, value]) => value === name);
      if (!isActor && !isNamed) continue;
      if (entry.target !== null && !record.erases && (isActor || entry.target === name)) {
        entry.target = erasedName(entry.target);
      }
      if (isActor) this.#renameActor(record, erasedName(name));
      if (entry.details !== undefined) {
        entry.details = Object.fromEntries(
          details.map(([key, value]) => [key, value === name ? erasedName(name) : value]),
        );
      }
      this.#write(record);
    }
  }

  /**
   * @param {AuditRecord} record
   * @param {string} name
   */
  #renameActor(record, name) {
    this.#byActor.delete(record);
    record.principal = name;
    record.entry.actor = name;
    this.#byActor.add(record);
  }
}

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
   * @param {AuditEntry} entry
   * @param {() => void} write
   * @param {() => void} count
   */
  constructor(entry, write, count) {
    this.#entry = entry;
    this.#write = write;
    this.#count = count;
  }

  /**
   * Adds what became known.
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
   * @param {number} [answer.status] of HTTP; default: none was sent, and it is a success without `code`
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
