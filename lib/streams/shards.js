/**
 * The numbers of the jobs, subscribers, calls and requests of a hub. Each belongs to a shard, the index
 * of its reactor, and equals it modulo the count of shards: the native hub uses this for routing.
 */
export class Shards {
  #count;
  #nextNumber = 1;
  #nextShard = 0;

  /** @param {number} count at least 1 */
  constructor(count) {
    this.#count = count;
  }

  /** Next shard in rotation. */
  next() {
    const shard = this.#nextShard;
    this.#nextShard = (shard + 1) % this.#count;
    return shard;
  }

  /**
   * @param {number} shard
   * @returns {number} a new number of that shard; not below the count, so that a shard's index is
   *   never a job
   */
  number(shard) {
    return this.#nextNumber++ * this.#count + shard;
  }

  /** @param {number} number @returns {number} its shard */
  of(number) {
    return number % this.#count;
  }

  /**
   * @param {readonly number[]} numbers at least one
   * @returns {boolean} whether all belong to one shard
   */
  shared(numbers) {
    const shard = this.of(numbers[0]);
    return numbers.every((number) => this.of(number) === shard);
  }
}
