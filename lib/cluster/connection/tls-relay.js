import { randomBytes } from 'node:crypto';
import { workerThreads } from '../../internal/util/packages.js';

/** @typedef {import('./address.js').Endpoint} Endpoint */

/** Length in bytes of the secret that connections to the relay begin with. */
const TOKEN_BYTES = 32;

/** @param {...string} words @returns {string} a command in the protocol of Redis */
const commandOf = (...words) =>
  `*${words.length}\r\n` +
  words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');

/**
 * Encrypts the connections of the native link, which speaks plain TCP: a worker thread accepts them at a port
 * of the loopback interface and passes their bytes on by TLS, also while the main thread is blocked.
 *
 * Other programs of the machine can reach the port. So a connection must begin with AUTH and a random
 * secret before the relay connects it to Redis; the relay replaces the secret by the user and the password.
 *
 * Main thread; the worker thread starts with the first address, and does not keep the process alive. `close()` ends
 * it.
 */
export class TlsRelay {
  #workerData;
  #token = randomBytes(TOKEN_BYTES).toString('base64url');
  /** @type {import('node:worker_threads').Worker | undefined} */
  #worker;
  /** @type {Promise<number> | undefined} */
  #port;
  #isClosed = false;

  /**
   * @param {object} options
   * @param {import('./tls-options.js').RedisTls} options.tls
   * @param {string} options.user of Redis
   * @param {string} options.password
   */
  constructor({ tls, user, password }) {
    const login = [...(user === '' ? [] : [user]), password];
    this.#workerData = {
      tls,
      expected: commandOf('AUTH', this.#token),
      // A harmless command if Redis wants no password.
      login: password === '' ? commandOf('PING') : commandOf('AUTH', ...login),
    };
  }

  /** The credentials that the native link must send. */
  get credentials() {
    return { user: '', password: this.#token };
  }

  /**
   * Connects later connections to this server; closes those to another server.
   * @param {Endpoint} endpoint
   * @returns {Promise<Endpoint>} the address at which the relay accepts connections
   */
  async connectTo(endpoint) {
    if (this.#isClosed) throw new Error('the TLS relay is closed');
    this.#port ??= this.#start();
    this.#worker?.postMessage(endpoint);
    return { host: '127.0.0.1', port: await this.#port };
  }

  /** @returns {Promise<number>} */
  #start() {
    const { Worker } = workerThreads();
    const worker = new Worker(new URL('./tls-worker.js', import.meta.url), {
      ...{ execArgv: [], name: 'sluice-redis-tls', workerData: this.#workerData },
    });
    worker.unref();
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      worker.once('message', resolve);
      const fail = (/** @type {Error} */ error) => {
        // The next address starts a new worker.
        if (this.#worker === worker) [this.#worker, this.#port] = [undefined, undefined];
        reject(error);
      };
      worker.once('error', fail);
      worker.once('exit', () => fail(new Error('the thread for TLS has ended')));
    });
  }

  /** Closes all connections. */
  close() {
    this.#isClosed = true;
    void this.#worker?.terminate();
  }
}
