import { byteLimits } from '../../primitives/kv/options.js';

/** @typedef {import('./log.js').AuditEntry} AuditEntry */

/** Entries belong to the gateway, not to a caller. */
const NAMESPACE = 'gateway';
const PREFIX = 'e/';

/**
 * Entries of the audit log as keys and values of the data file, in the order of their ids. Main thread; all
 * methods are synchronous, and changes are on the disk with the next commit of the file.
 */
export class KvAuditJournal {
  #space;

  /** @param {import('../../primitives/kv/namespaces.js').KvPartition} partition used by this journal only */
  constructor(partition) {
    this.#space = partition.of(NAMESPACE);
  }

  /** @returns {Generator<AuditEntry>} oldest first */
  *all() {
    for (const { value } of this.#space.items(PREFIX)) yield /** @type {AuditEntry} */ (value);
  }

  /** @param {AuditEntry} entry new, or changed */
  write(entry) {
    // The log bounds the number of its entries itself.
    this.#space.transactNow((tx) => tx.set(PREFIX + entry.id, entry), undefined, {
      limited: false,
    });
  }

  /** @param {string} id */
  remove(id) {
    this.#space.transactNow((tx) => tx.delete(PREFIX + id));
  }
}

/** Limits of the partition of a `KvAuditJournal`. */
export function auditLimits() {
  const any = Number.MAX_SAFE_INTEGER;
  return byteLimits({ maxBytes: any, maxBytesPerPrincipal: any, maxKeyBytes: 64 });
}
