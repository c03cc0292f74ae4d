import { waitAtMost } from '../../internal/time/wait-at-most.js';
import { HttpError, badRequest } from '../../internal/util/http-error.js';
import { DeliveryQueue, RUNNING_PER_RECEIVER_MAX } from './delivery-queue.js';
import { RetryPolicy } from '../../primitives/scheduling/retry-policy.js';
import { WebhookRepository, messageId } from './repository.js';
import { WebhookSender } from './sender.js';
import { deadlinesOf } from '../../internal/time/timers.js';
import { isAllowedHost } from './options.js';
import { signedHeaders } from './signature.js';
import { wallClock } from '../../internal/time/clock.js';

/** @typedef {import('./repository.js').Delivery} Delivery */
/** @typedef {import('./repository.js').Head} Head */

/**
 * @typedef {object} FailedWebhook
 * @property {string} id
 * @property {string} type of the event
 * @property {string} url
 * @property {string} subject id of the job, workflow or crawl
 * @property {number} attempts
 * @property {number} createdMs Unix time
 * @property {number} failedMs
 * @property {{code: string, message: string, status?: number}} [error] of the last attempt
 */

/** Waits between attempts, with full jitter: up to 10 s, doubled for each further one, up to an hour. */
const RETRY = Object.freeze({ baseMs: 10_000, capMs: 3_600_000 });
/** Time for due attempts when the gateway closes. */
const CLOSE_GRACE_MS = 5000;
/** Bytes of a delivery outside the key-value store. */
const DELIVERY_BYTES = 1024;

/** @param {string} id */
function webhookNotFound(id) {
  const message = `There is no failed webhook ${JSON.stringify(id.slice(0, 80))}.`;
  return new HttpError(404, { code: 'webhook_not_found', param: 'id', message });
}

/**
 * Delivers webhooks at least once, with attempts for `retryForMs`, after which a webhook is kept as failed
 * until it is replayed. Webhooks of earlier processes are resumed. Main thread; `close()` ends it.
 */
export class WebhookDeliveries {
  #settings;
  #limits;
  #repository;
  #metrics;
  #log;
  #durable;
  #unixMs;
  #policy = new RetryPolicy(RETRY);
  #queue;
  /** @type {Map<string, Delivery>} */
  #pending = new Map();
  /** In the order of their failures. @type {Map<string, Delivery>} */
  #failed = new Map();
  /** By whether private addresses are allowed. @type {Map<boolean, WebhookSender>} */
  #senders = new Map();
  #closed = false;

  /**
   * @param {object} deps
   * @param {import('./options.js').WebhookSettings} deps.settings
   * @param {{timeoutMs: number, retryForMs: number, maxFailed: number}} deps.limits
   * @param {import('../../primitives/kv/namespaces.js').KvPartition} deps.partition
   * @param {boolean} deps.durable whether the partition is in a data file
   * @param {{webhookDeliveries: {inc: (labels: {result: string}) => void}}} deps.metrics
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   * @param {import('../../internal/time/clock.js').ManualClock} [deps.clock]
   */
  constructor({ settings, limits, partition, durable, metrics, log, clock }) {
    this.#settings = settings;
    this.#limits = limits;
    this.#repository = new WebhookRepository(partition);
    this.#durable = durable;
    this.#metrics = metrics;
    this.#log = log;
    this.#unixMs = wallClock(clock);
    this.#queue = new DeliveryQueue({
      deadlines: deadlinesOf(clock),
      unixMs: this.#unixMs,
      attempt: (delivery) =>
        this.#attempt(delivery).catch((err) => {
          log.error({ err, webhook_id: delivery.id }, 'attempt at a webhook broken off');
        }),
    });
    const all = [...this.#repository.all()];
    const failed = all.filter(({ head }) => head.failedMs !== undefined);
    failed.sort((a, b) => Number(a.head.failedMs) - Number(b.head.failedMs));
    for (const delivery of failed) this.#failed.set(delivery.id, delivery);
    for (const delivery of all) {
      if (this.#failed.has(delivery.id)) continue;
      this.#pending.set(delivery.id, delivery);
      if (!delivery.head.text) this.#queue.add(delivery);
    }
  }

  /** Webhooks that wait for the text of their job: see `complete`. @returns {Delivery[]} */
  get incomplete() {
    return [...this.#pending.values()].filter(({ head }) => head.text);
  }

  /** Number of webhooks that wait for an attempt, or are being attempted. */
  get pending() {
    return this.#pending.size;
  }

  /** Number of webhooks that were given up. */
  get failures() {
    return this.#failed.size;
  }

  /** Bytes held besides those in the key-value store. */
  get bytes() {
    return (this.#pending.size + this.#failed.size) * DELIVERY_BYTES;
  }

  /**
   * @param {string} type
   * @param {{id: string, principal: string, attempt: number}} subject
   * @param {{url: string, own: boolean, text: boolean, body: string}[]} targets
   * @returns {Delivery[]} those that wait for the text of their job: see `complete`
   */
  add(type, { id: subject, principal, attempt }, targets) {
    const nowMs = this.#unixMs();
    const space = this.#repository.of(principal);
    const added = targets
      .map(({ url, own, text, body }) => {
        const times = { createdMs: nowMs, sinceMs: nowMs, dueMs: nowMs };
        const head = { ...{ type, url, own, text, subject, principal, attempts: 0 }, ...times };
        const id = messageId(subject, type, own ? `own ${url}` : url, attempt);
        return { id, space, head, body };
      })
      .filter(({ id }) => !this.#pending.has(id) && !this.#failed.has(id));
    if (added.length === 0 || !this.#store(added)) return [];
    const made = added.map(({ id, head }) => ({ id, space, head }));
    for (const delivery of made) {
      this.#pending.set(delivery.id, delivery);
      if (!delivery.head.text) this.#queue.add(delivery);
    }
    return made.filter(({ head }) => head.text);
  }

  /**
   * Stores webhooks; without room the oldest failed ones are dropped first.
   * @param {(Delivery & {body: string})[]} deliveries of one event
   * @returns {boolean} false: there is no room, and they are dropped
   */
  #store(deliveries) {
    for (;;) {
      try {
        this.#repository.add(deliveries);
        return true;
      } catch (/** @type {any} */ error) {
        const isFull = error?.code === 'ERR_KV_FULL';
        const [oldest] = isFull ? this.#failed.values() : [];
        if (oldest !== undefined) this.#dropFailed(oldest);
        else {
          const reason = isFull ? 'there is no room for it' : String(error);
          for (const delivery of deliveries) this.#drop(delivery, reason);
          return false;
        }
      }
    }
  }

  /**
   * Starts a delivery that waited for the text of its job.
   * @param {Delivery} delivery
   * @param {string} [body] with the text; default: as it is
   */
  complete(delivery, body) {
    const { id, head } = delivery;
    if (this.#pending.get(id) !== delivery) return;
    head.text = false;
    this.#repository.write(delivery, body);
    this.#queue.add(delivery);
  }

  /** @param {Delivery} delivery */
  async #attempt(delivery) {
    const { id, head } = delivery;
    const body = this.#repository.body(delivery);
    if (body === undefined || this.#pending.get(id) !== delivery) return;
    const target = this.#targetOf(head);
    const outcome =
      'code' in target
        ? { delivered: /** @type {const} */ (false), ...target }
        : await this.#post(delivery, body, target);
    // The gateway has closed, or the caller was erased meanwhile.
    if (outcome === undefined || this.#closed || this.#pending.get(id) !== delivery) return;
    if (outcome.delivered) {
      this.#pending.delete(id);
      this.#repository.remove(delivery);
      this.#metrics.webhookDeliveries.inc({ result: 'delivered' });
      return;
    }
    this.#onFailed(delivery, outcome);
  }

  /**
   * @param {Head} head
   * @returns {{keys: Buffer[], isPrivate: boolean} | {code: string, message: string}}
   */
  #targetOf({ url, own }) {
    const { webhooks, webhookUrls } = this.#settings;
    if (own) {
      if (webhookUrls !== undefined && isAllowedHost(webhookUrls, new URL(url))) {
        return { keys: webhookUrls.keys, isPrivate: webhookUrls.allowPrivateAddresses };
      }
      return { code: 'not_allowed', message: 'webhookUrls does not allow its host any more' };
    }
    const webhook = webhooks.find((each) => each.url === url);
    if (webhook !== undefined) return { keys: webhook.keys, isPrivate: true };
    return { code: 'not_configured', message: 'webhooks does not have its URL any more' };
  }

  /**
   * @param {Delivery} delivery
   * @param {string} body
   * @param {{keys: Buffer[], isPrivate: boolean}} target
   */
  #post({ id, head }, body, { keys, isPrivate }) {
    let sender = this.#senders.get(isPrivate);
    if (sender === undefined) {
      const { timeoutMs } = this.#limits;
      const connections = RUNNING_PER_RECEIVER_MAX;
      sender = new WebhookSender({ timeoutMs, connections, allowPrivateAddresses: isPrivate });
      this.#senders.set(isPrivate, sender);
    }
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'user-agent': 'sluice-webhooks',
      // The receiver compares the time with its own clock.
      ...signedHeaders(id, body, keys, Date.now()),
    };
    return sender.post(new URL(head.url), headers, body);
  }

  /**
   * @param {Delivery} delivery
   * @param {Extract<import('./sender.js').Outcome, {delivered: false}>} outcome
   */
  #onFailed(delivery, { code, message, status, retryAfterMs, gone = false }) {
    const { id, head } = delivery;
    const nowMs = this.#unixMs();
    const lastMs = head.sinceMs + this.#limits.retryForMs;
    head.attempts += 1;
    head.error = { code, message, ...(status !== undefined && { status }) };
    if (gone || nowMs >= lastMs) {
      this.#giveUp(delivery, nowMs);
      return;
    }
    const waitMs = this.#policy.delayMs(head.attempts, [{ retryAfterMs }]);
    head.dueMs = Math.min(nowMs + waitMs, lastMs);
    this.#repository.write(delivery);
    this.#metrics.webhookDeliveries.inc({ result: 'retried' });
    this.#log.debug?.({ webhook_id: id, ...this.#fieldsOf(head) }, 'webhook not delivered yet');
    this.#queue.add(delivery);
  }

  /**
   * @param {Delivery} delivery
   * @param {number} nowMs
   */
  #giveUp(delivery, nowMs) {
    const { id, head } = delivery;
    head.failedMs = nowMs;
    this.#repository.write(delivery);
    this.#pending.delete(id);
    this.#failed.set(id, delivery);
    this.#metrics.webhookDeliveries.inc({ result: 'failed' });
    this.#log.warn({ webhook_id: id, ...this.#fieldsOf(head) }, 'webhook given up');
    for (const oldest of this.#failed.values()) {
      if (this.#failed.size <= this.#limits.maxFailed) break;
      this.#dropFailed(oldest);
    }
  }

  /** @param {Head} head @returns {object} for the log; a URL may have a secret in its path */
  #fieldsOf({ type, url, subject, attempts, error }) {
    return { type, receiver: new URL(url).origin, subject, attempts, error };
  }

  /** @param {Delivery} delivery a failed one */
  #dropFailed(delivery) {
    this.#failed.delete(delivery.id);
    this.#repository.remove(delivery);
    this.#drop(delivery, 'it is the oldest of too many failed ones');
  }

  /**
   * @param {Delivery} delivery that is not stored
   * @param {string} reason
   */
  #drop({ id, head }, reason) {
    this.#metrics.webhookDeliveries.inc({ result: 'dropped' });
    this.#log.error({ webhook_id: id, ...this.#fieldsOf(head), reason }, 'webhook dropped');
  }

  /**
   * A page of the webhooks that were given up, the latest first.
   * @param {{limit: number, after?: string}} query
   * @returns {{data: FailedWebhook[], hasMore: boolean}}
   * @throws {HttpError} 400 when `after` is unknown
   */
  listFailed({ limit, after }) {
    const ids = [...this.#failed.keys()].reverse();
    const from = after === undefined ? 0 : ids.indexOf(after) + 1;
    if (after !== undefined && from === 0) {
      throw badRequest('invalid_value', 'after', 'after must be the id of a failed webhook.');
    }
    const data = ids.slice(from, from + limit).map((id) => {
      const { head } = /** @type {Delivery} */ (this.#failed.get(id));
      const { type, url, subject, attempts, createdMs, failedMs = 0, error } = head;
      return {
        ...{ id, type, url, subject, attempts, createdMs, failedMs },
        ...(error && { error }),
      };
    });
    return { data, hasMore: from + limit < ids.length };
  }

  /**
   * Attempts a failed webhook again, now and then for `retryForMs`.
   * @param {string} id
   * @throws {HttpError} 404
   */
  replay(id) {
    const delivery = this.#failed.get(id);
    if (delivery === undefined) throw webhookNotFound(id);
    const { failedMs: _, ...head } = delivery.head;
    const nowMs = this.#unixMs();
    delivery.head = { ...head, sinceMs: nowMs, dueMs: nowMs, attempts: 0 };
    this.#failed.delete(id);
    this.#pending.set(id, delivery);
    this.#repository.write(delivery);
    this.#queue.add(delivery);
  }

  /**
   * Erases the webhooks of a principal, or those about one job.
   * @param {string} principal
   * @param {string} [subject] id of the job; default: all
   */
  erase(principal, subject) {
    const { prefix } = this.#repository.of(principal);
    for (const known of [this.#pending, this.#failed]) {
      for (const delivery of known.values()) {
        const { id, space, head } = delivery;
        if (space.prefix !== prefix || (subject ?? head.subject) !== head.subject) continue;
        known.delete(id);
        this.#queue.remove(delivery);
        this.#repository.remove(delivery);
      }
    }
  }

  /**
   * Makes the attempts that are due, for up to five seconds. What is left stays in the data file; without
   * one it is lost, and logged.
   */
  async close() {
    this.#queue.stopWaiting();
    await waitAtMost(this.#queue.idle(), CLOSE_GRACE_MS);
    this.#closed = true;
    this.#queue.close();
    for (const sender of this.#senders.values()) sender.close();
    const undelivered = this.#pending.size;
    if (undelivered === 0 || this.#durable) return;
    this.#log.error({ undelivered }, 'webhooks lost: there is no data file to keep them in');
  }
}
