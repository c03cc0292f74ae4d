import { badRequest } from '../../internal/util/http-error.js';
import { WebhookDeliveries } from './deliveries.js';
import { checkListQuery } from '../../jobs/request.js';
import { asQueryNumber, checkOptions, checkString } from '../../internal/util/validate.js';
import { describeState } from '../../jobs/view.js';
import { isAllowedHost, readWebhookUrl } from './options.js';
import { namesPrivateAddress } from './sender.js';

/** @typedef {import('./repository.js').Delivery} Delivery */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../streams/types.js').JobState} JobState */
/** @typedef {import('../operations/operation.js').Operation} Operation */

/**
 * JSON of jobs, workflows and crawls in the format of HTTP answers.
 * @typedef {object} Views
 * @property {(job: import('../../jobs/view.js').Job) => object} job
 * @property {(operation: Operation, options: {text: boolean}) => object} workflow
 * @property {(operation: Operation) => object} crawl
 */

/** Statuses of jobs that are reported. */
const STATUSES = Object.freeze(['completed', 'failed', 'cancelled']);

/**
 * Checks the members of a job's request.
 * @param {import('./options.js').WebhookSettings} settings
 * @param {{webhook_url?: string, webhook_text?: boolean}} request
 * @param {string} within prefix of the members' names in errors
 * @returns {{url: string, text: boolean} | undefined} to keep with the job; undefined: it names no URL
 * @throws {import('../../internal/util/http-error.js').HttpError} 400
 */
export function webhookOf(
  { webhookUrls },
  { webhook_url: given, webhook_text: text = false },
  within,
) {
  const param = `${within}webhook_url`;
  const refused = (/** @type {string} */ why) =>
    badRequest('invalid_value', param, `${param} ${why}.`);
  if (given === undefined) return undefined;
  if (webhookUrls === undefined) {
    throw refused('is not allowed: this server names no hosts for it');
  }
  const url = readWebhookUrl(given);
  if (typeof url === 'string') throw refused(url);
  if (!isAllowedHost(webhookUrls, url)) {
    throw refused('names a host that this server does not allow');
  }
  if (!webhookUrls.allowPrivateAddresses && namesPrivateAddress(url)) {
    throw refused('must not name an address that is not on the public internet');
  }
  return { url: url.href, text };
}

/**
 * Reports the ends of jobs, workflows and crawls to URLs: selects the receivers of each event, and creates the bodies.
 * With a data file undelivered webhooks outlive the process. Main thread; `close()` ends it.
 */
export class Webhooks {
  #settings;
  #hub;
  #views;
  #deliveries;
  /** Snapshots with the texts of jobs. @type {Set<Promise<void>>} */
  #filling = new Set();

  /**
   * @param {ConstructorParameters<typeof WebhookDeliveries>[0] & {
   *   hub: import('../../streams/hub.js').JobHub, views: Views,
   *   jobs: import('../../jobs/job-table.js').JobTable}} deps `jobs`: including jobs of earlier processes
   */
  constructor({ hub, jobs, views, ...deps }) {
    this.#settings = deps.settings;
    this.#hub = hub;
    this.#views = views;
    this.#deliveries = new WebhookDeliveries(deps);
    for (const delivery of this.#deliveries.incomplete) {
      const record = jobs.get(delivery.head.subject, delivery.head.principal);
      if (record === undefined) this.#deliveries.complete(delivery);
      else this.#fillIn(record, [delivery]);
    }
  }

  /** Numbers of pending and of failed webhooks. */
  get figures() {
    const { pending, failures: failed } = this.#deliveries;
    return { pending, failed };
  }

  /** Bytes held besides those in the key-value store. */
  get bytes() {
    return this.#deliveries.bytes;
  }

  /**
   * A page of failed webhooks, the latest first.
   * @param {{limit?: number, after?: string}} [options] `limit` 1 to 100, default 20; `after` the id of the
   *   last one of the previous page
   * @returns {{data: import('./deliveries.js').FailedWebhook[], hasMore: boolean}}
   * @throws {import('../../internal/util/http-error.js').HttpError} 400 when `after` is unknown
   */
  listFailed(options) {
    const { limit, after } = checkOptions('listFailed', options, ['limit', 'after']);
    const given = { limit: asQueryNumber(limit), after };
    return this.#deliveries.listFailed(checkListQuery(given));
  }

  /**
   * Attempts a failed webhook again, for as long as a new one.
   * @param {string} id
   * @throws {import('../../internal/util/http-error.js').HttpError} 404
   */
  replay(id) {
    this.#deliveries.replay(checkString('id', id));
  }

  /**
   * Erases the webhooks of a principal, or those about one job.
   * @param {string} principal
   * @param {string} [subject] id of the job; default: all
   */
  erase(principal, subject) {
    this.#deliveries.erase(principal, subject);
  }

  /**
   * Call it before the usage of the job is counted: a job that a crash leaves uncounted is reported
   * after the restart.
   * @param {JobRecord} record that has ended
   */
  onJobEnded(record) {
    const { status } = record.final;
    if (record.part !== undefined || record.refused || !STATUSES.includes(status)) return;
    const own = /** @type {{url: string, text: boolean} | undefined} */ (record.extra?.webhook);
    const type = `job.${status}`;
    const targets = this.#targetsOf(type, own);
    if (targets.length === 0) return;
    const body = this.#jobBody(type, record, record.final, false);
    const subject = { id: record.id, principal: record.principal, attempt: 1 };
    const whole = targets.map((target) => ({ ...target, body }));
    const incomplete = this.#deliveries.add(type, subject, whole);
    if (incomplete.length > 0) this.#fillIn(record, incomplete);
  }

  /**
   * @param {Operation} operation that has ended
   * @param {JobState} state
   */
  onOperationEnded(operation, { status, metrics }) {
    const { kind, id, principal, attempt } = operation;
    const type = `${kind}.${status}`;
    const targets = this.#targetsOf(type);
    if (targets.length === 0) return;
    const atMs = operation.createdAtMs + metrics.duration_ms;
    const view = (/** @type {boolean} */ text) => this.#views[kind](operation, { text });
    const views = targets.map(({ text }) => view(text));
    const add = (/** @type {object[]} */ known) => {
      const whole = targets.map((target, i) => {
        return { ...target, text: false, body: this.#bodyOf(type, atMs, known[i]) };
      });
      this.#deliveries.add(type, { id, principal, attempt }, whole);
    };
    if (!views.some((each) => each instanceof Promise)) {
      add(views);
      return;
    }
    // The texts of a lost process's workflow are in Redis; while Redis is away the webhook is sent without them.
    const adding = Promise.all(views)
      .catch(() => targets.map(() => view(false)))
      .then(async (known) => add(await Promise.all(known)))
      .finally(() => this.#filling.delete(adding));
    this.#filling.add(adding);
  }

  /**
   * @param {string} type
   * @param {{url: string, text: boolean}} [own] webhook of the job
   * @returns {{url: string, own: boolean, text: boolean}[]}
   */
  #targetsOf(type, own) {
    const targets = this.#settings.webhooks
      .filter(({ types }) => types.has(type))
      .map(({ url, text }) => ({ url, own: false, text }));
    if (own !== undefined) targets.push({ ...own, own: true });
    return targets;
  }

  /**
   * @param {string} type
   * @param {JobRecord} record
   * @param {any} state of the hub
   * @param {boolean} text
   */
  #jobBody(type, record, state, text) {
    const atMs = record.createdAtMs + state.metrics.duration_ms;
    return this.#bodyOf(type, atMs, this.#views.job(describeState(record, state, { text })));
  }

  /**
   * @param {string} type
   * @param {number} atMs Unix time of the event
   * @param {object} data
   */
  #bodyOf(type, atMs, data) {
    return JSON.stringify({ type, timestamp: new Date(atMs).toISOString(), data });
  }

  /**
   * Adds the text of the answer to the bodies, and starts the deliveries.
   * @param {JobRecord} record
   * @param {Delivery[]} deliveries
   */
  #fillIn(record, deliveries) {
    const filling = this.#hub.snapshot(record.handle, { text: true }).then((state) => {
      this.#filling.delete(filling);
      for (const delivery of deliveries) {
        // The text of a job that was purged at once no longer exists.
        const body = state && this.#jobBody(delivery.head.type, record, state, true);
        this.#deliveries.complete(delivery, body ?? undefined);
      }
    });
    this.#filling.add(filling);
  }

  /** Like `WebhookDeliveries.close`, with the webhooks that wait for a text. */
  async close() {
    await Promise.all(this.#filling);
    await this.#deliveries.close();
  }
}
