import { setTimeout as sleep } from 'node:timers/promises';
import { fieldsOf } from '../client/scripts.js';

/** @typedef {import('./own-operations.js').OwnOperation} OwnOperation */

/** Minimum time between two writes of an operation's state. */
const WRITE_MS = 200;
/** Wait before a write without an answer is retried. */
const AGAIN_MS = 250;
/** Maximum characters of outputs in one call of the script: a longer call might exceed the time limit. */
const CALL_CHARS = 4 * 1024 * 1024;

/**
 * The writes of one operation.
 * @typedef {object} Writing
 * @property {NodeJS.Timeout} [timer] of the next one
 * @property {number} lastMs start of the last one
 * @property {number} open number of writes in progress
 * @property {boolean} isUrgent whether another one follows the write in progress at once
 * @property {Promise<unknown>} done the last write that began
 */

/**
 * Writes the operations of this process to Redis, so that all processes can answer requests for them: one hash each
 * as for jobs, with a snapshot, and hashes of their nodes. The native side writes their logs. Main thread;
 * `close()` ends all retries.
 */
export class OperationWrites {
  #cluster;
  #log;
  /** @type {WeakMap<OwnOperation, Writing>} */
  #writing = new WeakMap();
  #isClosed = false;

  /**
   * @param {object} deps
   * @param {import('../cluster.js').Cluster} deps.cluster
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ cluster, log }) {
    this.#cluster = cluster;
    this.#log = log;
  }

  /**
   * Announces an operation to all processes and takes its limits, or finds the operation of its idempotency key.
   * @param {OwnOperation} operation with its request and its `data`
   * @param {import('../../jobs/shared-jobs-port.js').PartsOfJob} parts
   * @returns {Promise<{id: string, createdAt: number} | undefined>} of an operation with its key
   * @throws {import('../../internal/util/http-error.js').HttpError} see `SharedJobsPort.admit`
   */
  admit(operation, parts) {
    return this.#cluster.sharedJobs.admit(operation, operation.limits, parts);
  }

  /** @type {import('../../jobs/shared-jobs-port.js').SharedJobsPort['known']} */
  known(used) {
    return this.#cluster.sharedJobs.known(used);
  }

  /** @param {OwnOperation} operation a running one; its idempotency key gets an answer */
  placed(operation) {
    return this.#cluster.sharedJobs.placed(operation);
  }

  /** @param {OwnOperation} operation that will not run */
  retract(operation) {
    return this.#cluster.sharedJobs.retract(operation);
  }

  /** @returns {number} number of a log in the journal */
  number() {
    return this.#cluster.sharedJobs.number(undefined, 1);
  }

  /**
   * The states of an operation's nodes in Redis.
   * @param {string} id
   * @returns {Promise<Record<string, string>>} the state of each, JSON
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async nodes(id) {
    return fieldsOf(await this.#cluster.redis.command('HGETALL', `nodes:${id}`));
  }

  /**
   * @param {string} id
   * @param {string[]} names of nodes
   * @returns {Promise<Map<string, string>>} outputs by node, JSON
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 while Redis is away
   */
  async outputs(id, names) {
    if (names.length === 0) return new Map();
    const values = await this.#cluster.redis.command('HMGET', `outputs:${id}`, ...names);
    return new Map(names.flatMap((name, i) => (values[i] === null ? [] : [[name, values[i]]])));
  }

  /**
   * Schedules a write of an operation's state. Changes within 200 ms are written together.
   * @param {OwnOperation} operation
   * @param {{isResult?: boolean}} [change] `isResult`: a node has its output, which is not to be made again if this
   *   process dies; it is written at once, or as soon as the write under way has its answer
   */
  changed(operation, { isResult = false } = {}) {
    const writing = this.#writingOf(operation);
    if (!isResult || this.#isClosed) this.#later(operation, 0);
    else if (writing.open > 0) writing.isUrgent = true;
    else this.#begin(operation, writing);
  }

  /**
   * @param {OwnOperation} operation
   * @param {number} leastMs
   */
  #later(operation, leastMs) {
    const writing = this.#writingOf(operation);
    if (writing.timer !== undefined || this.#isClosed) return;
    const waitMs = Math.max(leastMs, writing.lastMs + WRITE_MS - performance.now());
    writing.timer = setTimeout(() => this.#begin(operation, writing), waitMs);
    writing.timer.unref();
  }

  /**
   * @param {OwnOperation} operation
   * @param {Writing} writing
   */
  #begin(operation, writing) {
    clearTimeout(writing.timer);
    writing.timer = undefined;
    if (operation.ended || operation.isDropped) return;
    writing.lastMs = performance.now();
    writing.open += 1;
    writing.done = this.#write(operation).then(
      () => this.#end(operation, writing),
      () => {
        writing.open -= 1;
        this.#later(operation, AGAIN_MS);
      },
    );
  }

  /**
   * @param {OwnOperation} operation
   * @param {Writing} writing one of whose writes has its answer
   */
  #end(operation, writing) {
    writing.open -= 1;
    if (writing.open === 0 && writing.isUrgent) {
      writing.isUrgent = false;
      this.#begin(operation, writing);
    }
  }

  /** @param {OwnOperation} operation @returns {Writing} */
  #writingOf(operation) {
    let writing = this.#writing.get(operation);
    if (writing === undefined) {
      writing = { lastMs: -Infinity, open: 0, isUrgent: false, done: Promise.resolve() };
      this.#writing.set(operation, writing);
    }
    return writing;
  }

  /**
   * @param {OwnOperation} operation
   * @returns {Promise<string>} the answer of the script
   * @throws {import('../../internal/util/http-error.js').HttpError} 503 and 507 from Redis
   */
  async #write({ id, kind, attempt, data }) {
    if (data === undefined) return 'OK';
    const changes = data.takeChanges();
    try {
      do {
        const some = changes.slice(0, callLength(changes));
        const { redis, process } = this.#cluster;
        const args = [process, id, String(attempt), JSON.stringify(data.summary()), ...some.flat()];
        const answer = await redis.run('operations/progress', [`job:${id}`], args);
        if (answer !== 'OK') {
          data.giveBack(changes);
          return answer;
        }
        changes.splice(0, some.length);
      } while (changes.length > 0);
    } catch (/** @type {any} */ error) {
      data.giveBack(changes);
      if (error.status !== undefined) throw error;
      this.#log.error({ err: error, [`${kind}_id`]: id }, 'a script of Redis failed');
    }
    return 'OK';
  }

  /**
   * Writes the last state of an operation before its ending is written. Retries until Redis answers.
   * @param {OwnOperation} operation
   * @returns {Promise<string>} its snapshot, JSON; written with the ending
   */
  async last(operation) {
    const writing = this.#writingOf(operation);
    clearTimeout(writing.timer);
    writing.timer = undefined;
    writing.isUrgent = false;
    await writing.done;
    while (!operation.isDropped && !this.#isClosed) {
      const answer = await this.#write(operation).catch(() => undefined);
      // While this process joins under a new name, the operation still belongs to the old name.
      const isEarly = answer === 'FENCED' && !this.#cluster.isMember;
      if (answer !== undefined && !isEarly) break;
      await sleep(AGAIN_MS, undefined, { ref: false });
    }
    return JSON.stringify(operation.data?.summary() ?? {});
  }

  /**
   * Writes an operation again after Redis has lost its data; the native side writes its log.
   * @param {OwnOperation} operation that has not ended
   * @returns {Promise<boolean>} false: another process owns it
   */
  async rewrite(operation) {
    const answer = await this.#cluster.sharedJobs.rewrite(operation, operation.limits);
    const isOwn = answer !== 'FENCED';
    operation.data?.touchAll();
    if (isOwn) this.changed(operation);
    return isOwn;
  }

  /** Stops all writes. */
  close() {
    this.#isClosed = true;
  }
}

/**
 * @param {import('./own-operations.js').NodeChange[]} changes
 * @returns {number} how many of them fit into one call; at least one, if there is one
 */
function callLength(changes) {
  let chars = 0;
  const full = changes.findIndex(([, , output]) => (chars += output.length) > CALL_CHARS);
  return full === -1 ? changes.length : Math.max(full, 1);
}
