/**
 * New records after which an iterator that was not needed is dropped: it would keep each table that its Set has had
 * since its last step.
 */
const IDLE_MAX = 64;

/**
 * The records of one principal, in the order of their endings.
 * @template T
 */
class Queue {
  /** @type {Set<T>} */
  #records = new Set();
  /**
   * Iterates from the oldest record to the latest, and keeps its position: a new iterator of a Set passes the places of
   * all removed members before the first one, which are many in a set of constant size.
   * @type {Iterator<T> | undefined}
   */
  #ahead;
  /** Records added since its last step. */
  #idle = 0;
  /** @type {T | undefined} */
  #oldest;

  get size() {
    return this.#records.size;
  }

  /** @param {T} record */
  has(record) {
    return this.#records.has(record);
  }

  /** @param {T} record new */
  add(record) {
    this.#records.add(record);
    this.#idle += 1;
    // The next one begins at the oldest record anyway.
    if (this.#idle > IDLE_MAX) this.#ahead = undefined;
  }

  /** @param {T} record @returns {boolean} whether it was there */
  delete(record) {
    if (record === this.#oldest) this.#oldest = undefined;
    return this.#records.delete(record);
  }

  /** Undefined if empty. */
  get oldest() {
    if (this.#oldest !== undefined || this.size === 0) return this.#oldest;
    this.#idle = 0;
    this.#ahead ??= this.#records.values();
    let next = this.#ahead.next();
    if (next.done) {
      // An iterator that has come to the end once stays there.
      this.#ahead = this.#records.values();
      next = this.#ahead.next();
    }
    this.#oldest = next.value;
    return this.#oldest;
  }
}

/**
 * Ended records kept for a while, by principal. Finds the oldest record of the principal that holds
 * most. Each operation takes constant time, independent of the number of principals. Main thread
 * only.
 * @template {{principal: string}} T
 */
export class Retained {
  /** @type {Map<string, Queue<T>>} by principal */
  #byPrincipal = new Map();
  /**
   * Principals by how many they hold: an array, because counts change by one, and a Map makes a new table every few
   * changes, each of which lives on with the one before.
   * @type {(Set<string> | undefined)[]}
   */
  #byCount = [];
  #mostCount = 0;
  #size = 0;

  get size() {
    return this.#size;
  }

  /** @param {T} record that has just ended */
  add(record) {
    const { principal } = record;
    let held = this.#byPrincipal.get(principal);
    if (held === undefined) {
      held = new Queue();
      this.#byPrincipal.set(principal, held);
    }
    if (held.has(record)) return;
    held.add(record);
    this.#size += 1;
    this.#move(principal, held.size - 1, held.size);
  }

  /** @param {T} record ignored if it is not kept */
  delete(record) {
    const { principal } = record;
    const held = this.#byPrincipal.get(principal);
    if (held === undefined || !held.delete(record)) return;
    if (held.size === 0) this.#byPrincipal.delete(principal);
    this.#size -= 1;
    this.#move(principal, held.size + 1, held.size);
  }

  /**
   * @param {string} principal
   * @returns {T | undefined}
   */
  oldestOf(principal) {
    return this.#byPrincipal.get(principal)?.oldest;
  }

  /** @returns {T | undefined} the oldest of the principal that holds most; undefined if empty */
  oldestOfMost() {
    const principal = this.#byCount[this.#mostCount]?.values().next().value;
    return principal === undefined ? undefined : this.oldestOf(principal);
  }

  /**
   * @param {string} principal
   * @param {number} from its count before
   * @param {number} to its count now, one more or less
   */
  #move(principal, from, to) {
    const before = this.#byCount[from];
    const after = this.#byCount[to];
    if (before?.size === 1 && after === undefined && to > 0) {
      // The set goes on with its one principal.
      this.#byCount[from] = undefined;
      this.#byCount[to] = before;
    } else {
      before?.delete(principal);
      if (before?.size === 0) this.#byCount[from] = undefined;
      if (to > 0) this.#byCount[to] = (after ?? new Set()).add(principal);
    }
    if (to > this.#mostCount || this.#byCount[this.#mostCount] === undefined) this.#mostCount = to;
  }
}
