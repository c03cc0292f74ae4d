import { randomBytes } from 'node:crypto';
import { waitAtMost } from '../internal/time/wait-at-most.js';

/** Time limit of a wait. */
const WAIT_MS = 1000;

/**
 * Waits until the other processes of a deployment have handled the messages that were sent to them. Main thread.
 *
 * A process receives the messages of its channels in order. An answer to a question on `all` therefore comes after
 * everything that was published there before; before the answer the process reads the messages in its list.
 */
export class Barrier {
  #redis;
  #identity;
  #readMessages;
  /** By token. @type {Map<string, {open: Set<string>, done: () => void}>} */
  #waiting = new Map();

  /**
   * @param {object} deps
   * @param {Pick<import('./client/redis-client.js').RedisClient, 'command'>} deps.redis
   * @param {Pick<import('./members.js').Identity, 'name'>} deps.identity of this process
   * @param {() => Promise<unknown>} deps.readMessages handles the messages to this process
   */
  constructor({ redis, identity, readMessages }) {
    this.#redis = redis;
    this.#identity = identity;
    this.#readMessages = readMessages;
  }

  /**
   * @returns {Promise<void>} resolves once every other member has handled the messages sent before the call; after a
   *   second if an answer is missing, and at once while Redis is away
   */
  async pass() {
    const own = this.#identity.name;
    try {
      const names = await this.#redis.command('HKEYS', 'procs');
      const open = new Set(names.filter((/** @type {string} */ name) => name !== own));
      if (open.size > 0) await this.#ask(own, open);
    } catch (/** @type {any} */ error) {
      // The others read their messages at their next beat.
      if (error.status === undefined) throw error;
    }
  }

  /**
   * @param {string} own
   * @param {Set<string>} open the processes that are asked
   */
  async #ask(own, open) {
    const token = randomBytes(9).toString('base64url');
    const answered = new Promise((resolve) => {
      this.#waiting.set(token, { open, done: () => resolve(undefined) });
    });
    const sent = this.#redis.command('PUBLISH', 'all', `ask ${own} ${token}`);
    try {
      await waitAtMost(Promise.all([sent, answered]), WAIT_MS);
    } finally {
      this.#waiting.delete(token);
    }
  }

  /**
   * @param {string} payload of a message to all processes
   * @returns {boolean} whether it is a question
   */
  onAll(payload) {
    const [kind, from, token] = payload.split(' ');
    if (kind !== 'ask') return false;
    if (from !== this.#identity.name) void this.#answer(from, token);
    return true;
  }

  /**
   * @param {string} from
   * @param {string} token
   */
  async #answer(from, token) {
    await this.#readMessages();
    const answer = `answer ${this.#identity.name} ${token}`;
    await this.#redis.command('PUBLISH', `p:${from}`, answer).catch(() => {});
  }

  /**
   * @param {string} payload of a message to this process
   * @returns {boolean} whether it is an answer
   */
  onOwn(payload) {
    const [kind, name, token] = payload.split(' ');
    if (kind !== 'answer') return false;
    const waiting = this.#waiting.get(token);
    waiting?.open.delete(name);
    if (waiting?.open.size === 0) waiting.done();
    return true;
  }
}
