import { Retained } from '../../jobs/retained.js';
import {
  AuditTrail,
  ID_DIGITS,
  checkQuery,
  erasedName,
  recordIn,
  shortened,
  startedEntry,
  suffixOf,
  withoutCaller,
} from './entries.js';

/** @typedef {import('./entries.js').AuditEntry} AuditEntry */
/** @typedef {import('./entries.js').AuditPort} AuditPort */
/** @typedef {import('./entries.js').AuditQuery} AuditQuery */

/**
 * Persistent storage of entries.
 * @typedef {object} AuditJournal
 * @property {() => Iterable<AuditEntry>} all entries of earlier processes, oldest first
 * @property {(entry: AuditEntry) => void} write adds an entry, or replaces the one with the same id
 * @property {(id: string) => void} remove
 */

/** @typedef {{principal: string, entry: AuditEntry, erases: boolean, bytes: number}} AuditRecord */

/**
 * Record of the actions of callers: who did what to which object, when, and with which result. An entry is
 * written before its action begins, and completed afterwards. Beyond `maxEntries` the oldest entry of the
 * actor with the most entries is dropped, so that a busy caller cannot displace the entries of others.
 *
 * With a journal the entries survive a restart. There, the target of an action that erases is a digest, so
 * that no id of an erased object stays on the disk. Main thread; lives as long as its gateway.
 * @implements {AuditPort}
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
   * @param {AuditJournal} [deps.journal] undefined: entries are in memory only
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
  begin({ actor, action, target, requestId, erases = false }) {
    this.#seq += 1;
    const id = `audit_${String(this.#seq).padStart(ID_DIGITS, '0')}`;
    /** @type {AuditEntry} */
    const entry = { id, ...startedEntry({ actor, action, target, requestId }, this.#unixMs()) };
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
   * Records an ended action.
   * @param {import('./entries.js').EndedAction} ended
   */
  record(ended) {
    recordIn(this, ended);
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
    // A dropped entry uses no memory.
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
    const { limit, after, matches } = checkQuery(query);
    const data = [];
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
      const changed = withoutCaller(entry, name, record.erases);
      if (changed === undefined) continue;
      if (changed.actor !== null && changed.actor !== entry.actor) {
        this.#renameActor(record, changed.actor);
      }
      Object.assign(entry, changed);
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
