/** @typedef {import('./port.js').KvPort} KvPort */
/** @typedef {import('./namespaces.js').KvNamespace} KvNamespace */

/**
 * Keys and values of principals in this process, in memory or in its data file. Main thread.
 * @implements {KvPort}
 */
export class LocalKv {
  #namespaces;
  #partition;
  #memory;

  /**
   * @param {object} deps
   * @param {import('./namespaces.js').KvNamespaces} deps.namespaces
   * @param {import('./namespaces.js').KvPartition} deps.partition
   * @param {{check: (kind: string, principal: string) => void}} deps.memory budget of the process
   */
  constructor({ namespaces, partition, memory }) {
    this.#namespaces = namespaces;
    this.#partition = partition;
    this.#memory = memory;
  }

  get open() {
    return this.#namespaces.open;
  }

  get watchBytes() {
    return this.#namespaces.watchBytes;
  }

  /** @param {string} principal */
  of(principal) {
    return this.#partition.of(principal);
  }

  /** @type {KvPort['watch']} */
  watch(space, options) {
    return this.#namespaces.watch(space, options);
  }

  async watching() {}

  /** @param {string} principal */
  checkRoom(principal) {
    this.#namespaces.checkRoom();
    this.#memory.check('kv', principal);
  }

  checkWritable() {
    this.#namespaces.checkRoom();
  }

  /** @type {KvPort['synced']} */
  synced(version) {
    return this.#namespaces.synced(version);
  }

  /** @type {KvPort['expiryOf']} */
  expiryOf(entry) {
    return this.#namespaces.expiryOf(entry);
  }

  /** @param {string} principal */
  erase(principal) {
    this.#partition.of(principal).clear();
  }

  close() {
    this.#namespaces.close();
  }
}
