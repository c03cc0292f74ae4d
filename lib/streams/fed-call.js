/** @typedef {import('../internal/native/relay-types.js').AnswerFeed} AnswerFeed */

/**
 * The input of one upstream call made by JavaScript for a hub; see `AnswerFeed`. Main thread only;
 * ends when the hub reports that the call is over.
 * @implements {AnswerFeed}
 */
export class FedCall {
  over = false;
  #native;
  #settle;
  #id;
  #fed = 0;
  #taken = 0;
  #onOver = () => {};
  #wake = () => {};

  /**
   * @param {any} hub the native one
   * @param {number} id
   * @param {() => void} settle called after each command
   */
  constructor(hub, id, settle) {
    this.#native = hub;
    this.#id = id;
    this.#settle = settle;
  }

  /** @param {() => void} onOver */
  whenOver(onOver) {
    this.#onOver = onOver;
    if (this.over) onOver();
  }

  /** @param {Parameters<AnswerFeed['head']>[0]} head */
  head(head) {
    if (this.over) return;
    this.#native.feedHead(this.#id, head);
    this.#settle();
  }

  /** @param {Uint8Array} bytes @returns {Promise<void> | undefined} */
  bytes(bytes) {
    if (this.over) return undefined;
    this.#fed += bytes.length;
    this.#native.feedBytes(this.#id, bytes);
    this.#settle();
    if (this.#hasRoom) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /**
   * @param {import('../internal/native/relay-types.js').TransferEnd} kind
   * @param {string} [name]
   */
  end(kind, name = '') {
    if (this.over) return;
    this.#native.feedEnd(this.#id, { kind, name });
    this.#settle();
  }

  get #hasRoom() {
    return this.over || this.#taken === this.#fed;
  }

  /** @param {number} bytes total bytes consumed by the hub */
  onTaken(bytes) {
    this.#taken = bytes;
    if (this.#hasRoom) this.#wake();
  }

  /** Called by the hub, once. */
  onOver() {
    this.over = true;
    this.#wake();
    this.#onOver();
  }
}
