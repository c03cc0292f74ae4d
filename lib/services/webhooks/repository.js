import { createHash } from 'node:crypto';
import { byteLimits } from '../../primitives/kv/options.js';

/** @typedef {import('../../primitives/kv/namespaces.js').KvNamespace} KvNamespace */
/** @typedef {import('../../primitives/kv/namespaces.js').NamespaceTransaction} NamespaceTransaction */

/**
 * A webhook that has not been delivered, without its body. Times are Unix time.
 * @typedef {object} Head
 * @property {string} type of the event
 * @property {string} url
 * @property {boolean} own whether the job named the URL
 * @property {boolean} text whether the body still lacks the text of the answer
 * @property {string} subject id of the job, workflow or crawl
 * @property {string} principal its owner
 * @property {number} createdMs
 * @property {number} sinceMs start of the time in which attempts are made; later than `createdMs` after a
 *   replay
 * @property {number} dueMs of the next attempt
 * @property {number} attempts so far
 * @property {number} [failedMs] when it was given up
 * @property {{code: string, message: string, status?: number}} [error] of the last attempt
 */

/** @typedef {{id: string, space: KvNamespace, head: Head}} Delivery */

const ID_LENGTH = 32;
const headOf = (/** @type {string} */ id) => `h/${id}`;
const bodyOf = (/** @type {string} */ id) => `b/${id}`;

/**
 * The id of a message. An event that is reported again after a crash keeps its id, so that receivers
 * can detect the repetition.
 * @param {string} subject unguessable id of the job, workflow or crawl
 * @param {string} type
 * @param {string} url
 * @param {number} attempt of the workflow
 */
export function messageId(subject, type, url, attempt) {
  const hash = createHash('sha256').update(JSON.stringify([subject, type, url, attempt]));
  return `msg_${hash.digest('base64url').slice(0, ID_LENGTH)}`;
}

/**
 * Undelivered webhooks as keys and values, in the data file if there is one. Main thread; all methods
 * are synchronous.
 *
 * A webhook has a head (`h/ID`), which each attempt writes, and a body (`b/ID`), in the namespace of the
 * principal whose job it is about.
 */
export class WebhookRepository {
  #partition;

  /** @param {import('../../primitives/kv/namespaces.js').KvPartition} partition used by this repository only */
  constructor(partition) {
    this.#partition = partition;
  }

  /** @param {string} principal */
  of(principal) {
    return this.#partition.of(principal);
  }

  /** @returns {Generator<Delivery>} all of them */
  *all() {
    for (const space of this.#partition.used()) {
      for (const { key, value } of space.items(headOf(''))) {
        yield { id: key.slice(headOf('').length), space, head: /** @type {Head} */ (value) };
      }
    }
  }

  /**
   * @param {readonly (Delivery & {body: string})[]} deliveries of one namespace
   * @throws {import('../../internal/util/errors.js').SluiceError} `ERR_KV_FULL`: nothing was added
   */
  add(deliveries) {
    deliveries[0].space.transactNow((tx) => {
      for (const { id, head, body } of deliveries) {
        tx.set(headOf(id), head);
        tx.set(bodyOf(id), body);
      }
    });
  }

  /** @param {Delivery} delivery @returns {string | undefined} */
  body({ id, space }) {
    return space.get(bodyOf(id))?.value;
  }

  /**
   * Writes the head, and the body if there is a new one. The limits apply only to new webhooks.
   * @param {Delivery} delivery
   * @param {string} [body]
   */
  write({ id, space, head }, body) {
    const change = (/** @type {NamespaceTransaction} */ tx) => {
      tx.set(headOf(id), head);
      if (body !== undefined) tx.set(bodyOf(id), body);
    };
    space.transactNow(change, undefined, { limited: false });
  }

  /** @param {Delivery} delivery */
  remove({ id, space }) {
    space.transactNow((tx) => {
      tx.delete(headOf(id));
      tx.delete(bodyOf(id));
    });
  }
}

/**
 * @param {number} maxBytes of all webhooks; one principal may use half of it
 * @returns {import('../../primitives/kv/options.js').KvPartitionLimits}
 */
export function webhookLimits(maxBytes) {
  const maxBytesPerPrincipal = Math.ceil(maxBytes / 2);
  return byteLimits({ maxBytes, maxBytesPerPrincipal, maxKeyBytes: 64 });
}
