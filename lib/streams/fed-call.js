/**
 * An upstream call whose bytes JavaScript feeds to a hub: one for each call that is not made by the
 * hub's own client. Main thread only; ends when the hub says that it is over.
 */

/** How the transfer ended, as native/runtime/upstream/client.h numbers it. */
const END_KINDS = Object.freeze({ whole: 0, broken: 1, protocol: 2, silent: 3 });

/** @typedef {keyof typeof END_KINDS} EndKind */

/** The headers that count, in the order of the native call. */
const HEADERS = ['content-type', 'retry-after', 'retry-after-ms', 'location', 'content-encoding'];

/**
 * What a feeder gives: the head, then the body piece by piece, then the end. The next piece is read
 * once the hub has dealt with the one before: time in which the jobs have no room is no silence of
 * the upstream.
 */
export class FedCall {
  /** The hub takes no more: the connection is to be closed unless the body has ended. */
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

  /** @param {() => void} onOver called once, when the call is over; at once if it is */
  whenOver(onOver) {
    this.#onOver = onOver;
    if (this.over) onOver();
  }

  /**
   * @param {number} status
   * @param {Record<string, string | string[] | undefined>} headers names in lower case
   */
  head(status, headers) {
    if (this.over) return;
    const values = HEADERS.map((name) => String([headers[name]].flat()[0] ?? ''));
    this.#native.feedHead(this.#id, status, ...values);
    this.#settle();
  }

  /**
   * The next bytes of the body.
   * @param {Uint8Array} bytes
   * @returns {Promise<void> | undefined} to be awaited before the next ones are read
   */
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
   * @param {EndKind} kind
   * @param {string} [name] of the error
   */
  end(kind, name = '') {
    if (this.over) return;
    this.#native.feedEnd(this.#id, END_KINDS[kind], name);
    this.#settle();
  }

  get #hasRoom() {
    return this.over || this.#taken === this.#fed;
  }

  /** @param {number} bytes those that the hub has dealt with, in all */
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
