import { randomId } from '../../internal/util/random-id.js';
import {
  AuditTrail,
  ERASED,
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
/** @typedef {Omit<AuditEntry, 'id'>} Content of an entry */
/** @typedef {import('../../cluster/shared-audit.js').SharedAudit} SharedAudit */
/** @typedef {import('../../cluster/shared-audit.js').FoundAudit} FoundAudit */

/** Maximum entries in one answer of a script. */
const PAGE = 200;

/** @param {FoundAudit} found @returns {AuditEntry} */
const entryOf = ({ number, entry }) => ({ id: `audit_${number}`, ...JSON.parse(entry) });

/** @param {string | null} target */
const isDigest = (target) => target?.startsWith(ERASED) === true;

/**
 * @param {Content} content
 * @returns {import('../../cluster/shared-audit.js').StoredAudit}
 */
function storedOf(content) {
  const { actor, target } = content;
  return {
    actor: actor ?? '',
    about: target === null || isDigest(target) ? '' : suffixOf(target),
    entry: JSON.stringify(content),
  };
}

/**
 * The audit log of a deployment of several processes, in Redis; the counterpart of `AuditLog` in one process. The
 * target of an action that erases is a digest from the beginning. Main thread; lives as long as its gateway.
 * @implements {AuditPort}
 */
export class SharedAuditLog {
  #maxEntries;
  #unixMs;
  #entries;
  #metrics;
  /** Writes in progress. @type {Set<Promise<void>>} */
  #pending = new Set();

  /**
   * @param {object} deps
   * @param {number} deps.maxEntries
   * @param {() => number} deps.unixMs
   * @param {SharedAudit} deps.entries
   * @param {{auditEntries: {inc: (labels: {action: string, outcome: string}) => void},
   *   auditDropped: {inc: (count: number) => void}}} deps.metrics
   */
  constructor({ maxEntries, unixMs, entries, metrics }) {
    this.#maxEntries = maxEntries;
    this.#unixMs = unixMs;
    this.#entries = entries;
    this.#metrics = metrics;
  }

  get bytes() {
    return 0;
  }

  /** @type {AuditPort['begin']} */
  begin({ action, erases = false, ...subject }) {
    const content = startedEntry({ action, ...subject }, Math.floor(this.#unixMs()));
    const token = randomId('entry');
    const options = { former: '', maxEntries: this.#maxEntries };
    let written = Promise.resolve();
    let last = '';
    const write = () => {
      const { target } = content;
      const kept = erases && target !== null ? { ...content, target: erasedName(target) } : content;
      const stored = storedOf(kept);
      const former = last;
      last = stored.entry;
      // In order: each write needs the answer of the previous one.
      const next = written.then(async () => {
        const dropped = await this.#entries.write(token, stored, { ...options, former });
        if (dropped > 0) this.#metrics.auditDropped.inc(dropped);
        this.#pending.delete(next);
      });
      this.#pending.add(next);
      written = next;
    };
    write();
    return new AuditTrail(content, write, () =>
      this.#metrics.auditEntries.inc({ action, outcome: content.outcome }),
    );
  }

  /** @type {AuditPort['record']} */
  record(ended) {
    recordIn(this, ended);
  }

  /**
   * @param {import('./entries.js').AuditQuery} [query]
   * @returns {Promise<import('./entries.js').AuditPage>} newest first
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async list(query) {
    const { limit, after, matches } = checkQuery(query);
    // The answer includes earlier records of this process. While Redis is away, the wait rejects.
    if (this.#pending.size > 0) await this.#entries.page('', 0);
    await Promise.all(this.#pending);
    const data = [];
    for await (const found of allBefore(this.#entries, after?.slice(-ID_DIGITS) ?? '')) {
      const entry = entryOf(found);
      if (!matches(entry)) continue;
      if (data.length === limit) return { data, hasMore: true };
      data.push(entry);
    }
    return { data, hasMore: false };
  }
}

/**
 * @param {SharedAudit} entries
 * @param {string} before see `SharedAudit.page`
 * @returns {AsyncGenerator<FoundAudit>} newest first
 */
async function* allBefore(entries, before) {
  for (;;) {
    const page = await entries.page(before, PAGE);
    yield* page;
    if (page.length < PAGE) return;
    before = page[page.length - 1].number;
  }
}

/**
 * Replaces the id of an erased job in the log of a deployment, like `AuditLog.eraseJob`.
 * @param {SharedAudit} entries
 * @param {string} id
 */
export async function eraseJobIn(entries, id) {
  for (let found = await entries.about(suffixOf(id)); found.length > 0;) {
    for (const each of found) {
      const { id: _id, ...content } = entryOf(each);
      const target = content.target === null ? null : erasedName(content.target);
      const { actor, entry } = storedOf({ ...content, target });
      await entries.change(each, { actor, about: '', entry });
    }
    // Entries that changed meanwhile still have the old name.
    found = await entries.about(suffixOf(id));
  }
}

/**
 * Replaces the name of an erased caller in the log of a deployment, like `AuditLog.erasePrincipal`.
 * @param {SharedAudit} entries
 * @param {string} principal
 */
export async function erasePrincipalIn(entries, principal) {
  const name = shortened(principal);
  for await (let found of allBefore(entries, '')) {
    for (;;) {
      const { id: _id, ...content } = entryOf(found);
      const changed = withoutCaller(content, name, isDigest(content.target));
      if (changed === undefined) break;
      if (await entries.change(found, storedOf(changed))) break;
      // The entry was changed or dropped meanwhile.
      const before = String(Number(found.number) + 1);
      const [again] = await entries.page(before, 1);
      if (again?.token !== found.token) break;
      found = again;
    }
  }
}
