/**
 * Counts the open event streams of a gateway, or those of one kind, by principal. Main thread only.
 */
export class OpenStreams {
  #max;
  #hasPrincipals;
  #within;
  #size = 0;
  /** @type {Map<string, {count: number, close: () => void}>} one `close` per principal */
  #byPrincipal = new Map();
  /** The one principal that may be among them without an open stream. */
  #idle = '';

  /**
   * @param {object} options
   * @param {number} options.max
   * @param {() => boolean} options.hasPrincipals whether callers are distinguished: then each may
   *   open up to half
   * @param {OpenStreams} [options.within] the counter of all streams, which also counts these
   */
  constructor({ max, hasPrincipals, within }) {
    this.#max = max;
    this.#hasPrincipals = hasPrincipals;
    this.#within = within;
  }

  /** Open streams. */
  get size() {
    return this.#size;
  }

  /**
   * @param {string} principal
   * @returns {boolean} whether another stream of this principal has room
   */
  hasRoom(principal) {
    if (this.#within?.hasRoom(principal) === false) return false;
    const ownMax = this.#hasPrincipals() ? Math.ceil(this.#max / 2) : this.#max;
    return this.#size < this.#max && (this.#byPrincipal.get(principal)?.count ?? 0) < ownMax;
  }

  /**
   * @param {string} principal whose stream opens
   * @returns {() => void} call it once, when the stream has closed
   */
  open(principal) {
    let own = this.#byPrincipal.get(principal);
    if (own === undefined) {
      own = { count: 0, close: () => this.#close(principal) };
      this.#byPrincipal.set(principal, own);
    }
    own.count += 1;
    this.#size += 1;
    const closeWithin = this.#within?.open(principal);
    if (closeWithin === undefined) return own.close;
    const { close } = own;
    return () => {
      close();
      closeWithin();
    };
  }

  /** @param {string} principal */
  #close(principal) {
    const own = this.#byPrincipal.get(principal);
    if (own === undefined) return;
    own.count -= 1;
    this.#size -= 1;
    if (own.count > 0 || this.#idle === principal) return;
    // The last one stays: a caller of short streams comes again and again.
    if (this.#byPrincipal.get(this.#idle)?.count === 0) this.#byPrincipal.delete(this.#idle);
    this.#idle = principal;
  }
}
