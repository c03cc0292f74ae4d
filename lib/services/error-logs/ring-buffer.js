/**
 * The last errors that logs have brought, numbered, for readers that come back. Main thread.
 *
 * Ids are `<epoch>-<seq>`, seq from 1; the epoch is when the ring was made, so that a cursor of
 * before a restart is known for what it is. Memory is bounded by number and by bytes.
 */

/** @typedef {{seq: number, id: string, json: string}} RingEntry */

const kEntriesMax = 1000;
const kBytesMax = 8 * 1024 * 1024;

/** See the head of this file. */
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
  constructor({ epoch = Date.now(), entriesMax = kEntriesMax, bytesMax = kBytesMax } = {}) {
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
    // The newest stays, however large.
    while (
      this.#entries.length > entriesMax ||
      (this.#bytes > bytesMax && this.#entries.length > 1)
    ) {
      const dropped = this.#entries.shift();
      this.#bytes -= dropped?.json.length ?? 0;
    }
  }

  /** The number of the oldest that is kept; of the next one, if none is. */
  get earliest() {
    return this.#entries[0]?.seq ?? this.#nextSeq;
  }

  /** Ids of the oldest and the newest that are kept; null without any. */
  get bounds() {
    return {
      earliest: this.#entries[0]?.id ?? null,
      latest: this.#entries.at(-1)?.id ?? null,
    };
  }

  /**
   * Where a reader with this cursor goes on.
   * @param {string} cursor empty for none
   * @returns {{next: number, gap: boolean}} `gap`: not all that is behind the cursor is there
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
   * @returns {RingEntry | undefined} undefined: not there yet, or not any more
   */
  at(seq) {
    return this.#entries[seq - this.earliest];
  }
}
