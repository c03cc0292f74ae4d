import { SluiceError } from '../../internal/util/errors.js';
import { endMsOf, fieldsOf, valueOf } from './wire.js';
import { isText } from '../../primitives/kv/values.js';

/** Fields of a change in a message: space, type, version, key, data, kind, end. */
const FIELDS = 7;
/** Wait before the state of the store is asked for again. */
const AGAIN_MS = 250;

/**
 * A connection that listens to one channel.
 * @typedef {{close: () => void}} Subscription
 */
/**
 * Opens one: `onReady` is called after each subscription, `onMessage` with each message.
 * @typedef {(channel: string, on: {onReady: () => void, onMessage: (message: Buffer) => void}) =>
 *   Subscription} Subscribe
 */

/** The name of a key among those of all spaces. @param {string} space @param {string} key */
export const fullName = (space, key) => (space === '' ? key : `${space}/${key}`);

/**
 * The changes of one store, for all watches of this process: a connection while there are watches. Each
 * message has a number, so none is missed unnoticed. Main thread.
 */
export class ChangeFeed {
  #channel;
  #subscribe;
  #told;
  #publish;
  #onLost;
  /** @type {Subscription | undefined} */
  #subscription;
  /** Number of the last message that was passed on; undefined: not known yet. @type {number | undefined} */
  #last;
  /** When the store was begun. */
  #born = '';
  /** Messages that came before that was known. @type {Buffer[]} */
  #early = [];
  /** Resolves once changes are seen; undefined: nothing to wait for. @type {Promise<void> | undefined} */
  #ready;
  #beReady = () => {};

  /**
   * @param {object} deps
   * @param {string} deps.channel
   * @param {Subscribe} deps.subscribe
   * @param {() => Promise<{told: number, born: string}>} deps.told resolves with the number of messages until now,
   *   and the time at which the store was begun, empty before its first change
   * @param {(flat: any[]) => void} deps.publish called with changes, as `Watches.publish` takes them
   * @param {(error: SluiceError) => void} deps.onLost changes were missed
   */
  constructor({ channel, subscribe, told, publish, onLost }) {
    this.#channel = channel;
    this.#subscribe = subscribe;
    this.#told = told;
    this.#publish = publish;
    this.#onLost = onLost;
  }

  /** Resolves once changes are seen, or when no watch waits for them any more; undefined: now. */
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

  /** @param {Subscription} subscription that has begun, or begun again */
  async #catchUp(subscription) {
    let told;
    let born;
    try {
      ({ told, born } = await this.#told());
    } catch (/** @type {any} */ error) {
      if (error?.code === 'ERR_REDIS_CLOSED') return;
      setTimeout(() => void this.#catchUp(subscription), AGAIN_MS).unref();
      return;
    }
    if (subscription !== this.#subscription) return;
    this.#last ??= told;
    if (this.#isOther(born)) this.#lose(told);
    for (const message of this.#early.splice(0)) this.#onMessage(message);
    this.#beReady();
    if (told > this.#last) this.#lose(told);
  }

  /** @param {Buffer} message */
  #onMessage(message) {
    if (this.#last === undefined) {
      this.#early.push(message);
      return;
    }
    const [number, born, ...fields] = fieldsOf(message);
    const told = Number(number);
    // A foreign client may send anything.
    if (!Number.isSafeInteger(told)) return;
    if (this.#isOther(String(born))) {
      this.#lose(told);
      return;
    }
    if (told <= this.#last) return;
    if (told > this.#last + 1) {
      this.#lose(told);
      return;
    }
    this.#last = told;
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
   * @returns {boolean} whether the store was lost, and begun again
   */
  #isOther(born) {
    const before = this.#born;
    this.#born = born;
    return before !== '' && before !== born;
  }

  /** @param {number} told the number of messages until now */
  #lose(told) {
    this.#last = told;
    const message =
      'changes were missed while Redis was away: read the keys again, and watch from there';
    this.#onLost(new SluiceError('ERR_WATCH_OVERFLOW', message));
  }
}
