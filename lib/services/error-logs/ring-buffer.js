/** @typedef {{seq: number, id: string, json: string}} RingEntry */

const ENTRIES_MAX = 1000;
const BYTES_MAX = 8 * 1024 * 1024;

/**
 * The last error events, numbered, so that readers can resume. Bounded by number and by bytes.
 *
 * Ids are `<epoch>-<seq>`, seq from 1. The epoch is the creation time of the ring; it distinguishes cursors
 * from before a restart.
 */
export class ErrorRing {
  /** @type {RingEntry[]} */
  #entries = [];
  #bytes = 0;
  #nextSeq = 1;
  #epoch;
  #limits;

  /**
   * @param {object} [options]
   * @param {number} [options.epoch] default: the present
   * @param {number} [options.entriesMax] default 1000
   * @param {number} [options.bytesMax] of the events as JSON; default 8 MiB
   */
  constructor({ epoch = Date.now(), entriesMax = ENTRIES_MAX, bytesMax = BYTES_MAX } = {}) {
    this.#epoch = epoch;
    this.#limits = { entriesMax, bytesMax };
  }

  /** @param {import('../../primitives/logs/log-parser.js').LogEvent} event */
  add(event) {
    const seq = this.#nextSeq;
    this.#nextSeq += 1;
    const json = JSON.stringify(event);
    this.#entries.push({ seq, id: `${this.#epoch}-${seq}`, json });
    this.#bytes += json.length;
    const { entriesMax, bytesMax } = this.#limits;
    // The newest event stays, even if it is too large.
    while (
      this.#entries.length > entriesMax ||
      (this.#bytes > bytesMax && this.#entries.length > 1)
    ) {
      const dropped = this.#entries.shift();
      this.#bytes -= dropped?.json.length ?? 0;
    }
  }

  /** The number of the oldest entry, or of the next one if there is none. */
  get earliest() {
    return this.#entries[0]?.seq ?? this.#nextSeq;
  }

  /** Ids of the oldest and the newest entry; null without entries. */
  get bounds() {
    return {
      earliest: this.#entries[0]?.id ?? null,
      latest: this.#entries.at(-1)?.id ?? null,
    };
  }

  /**
   * The number of the next entry for a reader with this cursor.
   * @param {string} cursor empty for none
   * @returns {{next: number, gap: boolean}} `gap`: entries after the cursor are missing
   */
  resume(cursor) {
    const { earliest } = this;
    if (cursor === '') return { next: earliest, gap: false };
    const [, epoch, digits] = /^(\d{1,16})-(\d{1,15})$/.exec(cursor) ?? [];
    const next = Number(digits) + 1;
    const known = Number(epoch) === this.#epoch && next >= earliest && next <= this.#nextSeq;
    return known ? { next, gap: false } : { next: earliest, gap: true };
  }

  /**
   * @param {number} seq
   * @returns {RingEntry | undefined} undefined if it does not exist yet or was dropped
   */
  at(seq) {
    return this.#entries[seq - this.earliest];
  }
}
