import { SluiceError } from '../../internal/util/errors.js';
import { endMsOf, fieldsOf, valueOf } from './wire.js';
import { isText } from '../../primitives/kv/values.js';

/** Fields of a change in a message: space, type, version, key, data, kind, end. */
const FIELDS = 7;
/** Wait before the state of the store is requested again. */
const AGAIN_MS = 250;

/**
 * A connection that listens to one channel.
 * @typedef {{close: () => void}} Subscription
 */
/**
 * Opens a subscription: calls `onReady` after each (re)subscription, `onMessage` with each message.
 * @typedef {(channel: string, on: {onReady: () => void, onMessage: (message: Buffer) => void}) =>
 *   Subscription} Subscribe
 */

/** The name of a key, unique in all spaces. @param {string} space @param {string} key */
export const fullName = (space, key) => (space === '' ? key : `${space}/${key}`);

/**
 * The changes of one store, for all watches of this process: a connection while there are watches. Each
 * message has a number, which reveals lost messages. Main thread.
 */
export class ChangeFeed {
  #channel;
  #subscribe;
  #readPosition;
  #publish;
  #onLost;
  /** @type {Subscription | undefined} */
  #subscription;
  /** Number of the last message that was passed on; undefined: not known yet. @type {number | undefined} */
  #last;
  /** Creation time of the store. */
  #born = '';
  /** Messages that arrived before the number was known. @type {Buffer[]} */
  #early = [];
  /** Resolves once watches see changes; undefined: nothing to wait for. @type {Promise<void> | undefined} */
  #ready;
  #beReady = () => {};

  /**
   * @param {object} deps
   * @param {string} deps.channel
   * @param {Subscribe} deps.subscribe
   * @param {() => Promise<{position: number, born: string}>} deps.readPosition resolves with the number of messages
   *   so far, and the creation time of the store, empty before its first change
   * @param {(flat: any[]) => void} deps.publish called with changes in the format of `Watches.publish`
   * @param {(error: SluiceError) => void} deps.onLost called when changes were missed
   */
  constructor({ channel, subscribe, readPosition, publish, onLost }) {
    this.#channel = channel;
    this.#subscribe = subscribe;
    this.#readPosition = readPosition;
    this.#publish = publish;
    this.#onLost = onLost;
  }

  /** Resolves once watches see changes, or when the last watch ends; undefined: they already do. */
  get ready() {
    return this.#ready;
  }

  /** @param {boolean} isOn whether there are watches */
  watch(isOn) {
    if (isOn === (this.#subscription !== undefined)) return;
    if (!isOn) {
      this.#subscription?.close();
      this.#subscription = undefined;
      this.#last = undefined;
      this.#born = '';
      this.#early = [];
      this.#beReady();
      return;
    }
    this.#ready = new Promise((resolve) => {
      this.#beReady = () => {
        this.#ready = undefined;
        resolve();
      };
    });
    const subscription = this.#subscribe(this.#channel, {
      onReady: () => void this.#catchUp(subscription),
      onMessage: (message) => this.#onMessage(message),
    });
    this.#subscription = subscription;
  }

  /** @param {Subscription} subscription a subscription that has begun or restarted */
  async #catchUp(subscription) {
    let position;
    let born;
    try {
      ({ position, born } = await this.#readPosition());
    } catch (/** @type {any} */ error) {
      if (error?.code === 'ERR_REDIS_CLOSED') return;
      setTimeout(() => void this.#catchUp(subscription), AGAIN_MS).unref();
      return;
    }
    if (subscription !== this.#subscription) return;
    this.#last ??= position;
    if (this.#isOther(born)) this.#lose(position);
    for (const message of this.#early.splice(0)) this.#onMessage(message);
    this.#beReady();
    if (position > this.#last) this.#lose(position);
  }

  /** @param {Buffer} message */
  #onMessage(message) {
    if (this.#last === undefined) {
      this.#early.push(message);
      return;
    }
    try {
      this.#take(message, this.#last);
    } catch {
      // Another program may send anything, also in place of a change.
      this.#lose(this.#last);
    }
  }

  /**
   * @param {Buffer} message
   * @param {number} last number of the message before
   */
  #take(message, last) {
    const [number, born, ...fields] = fieldsOf(message);
    const position = Number(number);
    if (!Number.isSafeInteger(position)) return;
    if (this.#isOther(String(born))) {
      this.#lose(position);
      return;
    }
    if (position <= last) return;
    if (position > last + 1) {
      this.#lose(position);
      return;
    }
    this.#last = position;
    const flat = [];
    for (let at = 0; at + FIELDS <= fields.length; at += FIELDS) {
      const [space, type, version, key, data, kind, end] = fields.slice(at, at + FIELDS);
      const name = fullName(String(space), String(key));
      const valueKind = Number(kind);
      const value = isText(valueKind) ? String(data) : valueOf(data, valueKind);
      flat.push(Number(type), Number(version), name, value, valueKind, endMsOf(end));
    }
    this.#publish(flat);
  }

  /**
   * @param {string} born
   * @returns {boolean} whether the store was lost and recreated
   */
  #isOther(born) {
    const before = this.#born;
    this.#born = born;
    return before !== '' && before !== born;
  }

  /** @param {number} position number of messages so far */
  #lose(position) {
    this.#last = position;
    const message =
      'changes were missed while Redis was away: read the keys again, and watch from there';
    this.#onLost(new SluiceError('ERR_WATCH_OVERFLOW', message));
  }
}
