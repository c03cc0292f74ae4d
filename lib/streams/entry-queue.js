import { EntryKind } from './entry-kinds.js';

/**
 * Number of entries after which the queue is sent at once. A turn of the event loop runs every timer that is due,
 * and with thousands of generators the tokens of the first would wait for the last.
 */
export const ENTRIES_MAX = 32;

/**
 * The entries that JavaScript appends to the logs of a hub, up to the next command: one native call
 * and one wake-up for the entries of all jobs in one turn of the event loop, or for 32 of them. Main
 * thread; ends with `close()`.
 */
export class EntryQueue {
  #native;
  #reactor;
  #closed = false;
  /** @type {number[]} */
  #jobs = [];
  /** Whether all entries in the queue are of one job, as those of a generator that waits for nothing. */
  #isOneJob = true;
  /** @type {string[]} */
  #texts = [];
  /** Of all entries in the queue; undefined while all are plain text. @type {number[] | undefined} */
  #kinds;
  /** Like `#kinds`. @type {string[] | undefined} */
  #auxes;

  /** Whether the rest is sent at the end of this turn. */
  #isDue = false;

  #endTurn = () => {
    this.#isDue = false;
    this.#sendTurn();
  };

  /**
   * @param {any} hub the native one
   * @param {import('../internal/native/reactor.js').Reactor} reactor
   */
  constructor(hub, reactor) {
    this.#native = hub;
    this.#reactor = reactor;
  }

  /**
   * @param {number} handle
   * @param {string} text
   */
  addText(handle, text) {
    this.#kinds?.push(EntryKind.text);
    this.#auxes?.push('');
    this.#add(handle, text);
  }

  /**
   * @param {number} handle
   * @param {import('./types.js').EntryInput} entry
   * @throws {TypeError} if its kind is unknown
   */
  add(handle, { kind, text, aux = '' }) {
    if (!Object.hasOwn(EntryKind, kind)) throw new TypeError(`There is no entry kind "${kind}".`);
    this.#kinds ??= this.#jobs.map(() => EntryKind.text);
    this.#auxes ??= this.#jobs.map(() => '');
    this.#kinds.push(EntryKind[kind]);
    this.#auxes.push(aux);
    this.#add(handle, text);
  }

  /**
   * @param {number} handle
   * @param {string} text
   */
  #add(handle, text) {
    this.#texts.push(text);
    const count = this.#jobs.push(handle);
    if (handle !== this.#jobs[0]) this.#isOneJob = false;
    if (this.#reactor.manual) this.send();
    else if (count === ENTRIES_MAX) this.#sendTurn();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(this.#endTurn);
    }
  }

  #sendTurn() {
    this.send();
    this.#reactor.wake();
  }

  /** Sends the queue now; called before commands whose effect depends on the order. */
  send() {
    if (this.#jobs.length === 0 || this.#closed) return;
    const [jobs, texts, kinds, auxes] = [this.#jobs, this.#texts, this.#kinds, this.#auxes];
    const isOneJob = this.#isOneJob;
    this.#jobs = [];
    this.#texts = [];
    this.#kinds = this.#auxes = undefined;
    this.#isOneJob = true;
    if (isOneJob) this.#native.appendTo(jobs[0], texts, kinds, auxes);
    else this.#native.append(jobs, texts, kinds, auxes);
    this.#reactor.settle();
  }

  /** Later entries are dropped. */
  close() {
    this.#closed = true;
  }
}
