import {
  beyondMessages,
  conversationBusy,
  conversationNotFound,
  conversationTooLong,
  fullBy,
  unknownAfter,
} from './errors.js';
import { isConversationId, newConversationId } from './repository.js';
import { stored } from './messages.js';

/** @typedef {import('./store.js').ConversationStore} ConversationStore */
/** @typedef {import('../../cluster/shared-conversations.js').SharedConversations} SharedConversations */
/** @typedef {import('../../cluster/shared-conversations.js').Refusal} Refusal */
/** @typedef {import('./repository.js').ConversationLimits} ConversationLimits */

/**
 * The conversations of a deployment of several processes. Main thread.
 * @implements {ConversationStore}
 */
export class SharedStore {
  #conversations;
  #limits;
  #turns;
  #directory;
  #log;

  /**
   * @param {object} deps
   * @param {SharedConversations} deps.conversations
   * @param {ConversationLimits} deps.limits
   * @param {import('./shared-turns.js').SharedTurns} deps.turns
   * @param {import('../../jobs/job-directory.js').JobDirectory} deps.directory
   * @param {import('../../internal/util/logger.js').Logger} deps.log
   */
  constructor({ conversations, limits, turns, directory, log }) {
    this.#conversations = conversations;
    this.#limits = limits;
    this.#turns = turns;
    this.#directory = directory;
    this.#log = log;
  }

  /** The limits in the format of scripts. */
  get #bounds() {
    const { maxPerPrincipal: count, maxBytesPerPrincipal: ofPrincipal, maxBytes } = this.#limits;
    return { count, ofPrincipal, total: maxBytes };
  }

  /** @type {ConversationStore['create']} */
  async create(principal, { messages, ...settings }) {
    this.#turns.checkOpen();
    // Redis adds the times.
    const undated = messages.map((message) => stored(message, /** @type {any} */ ({})));
    this.#checkLength(undated);
    const request = { ...settings, id: newConversationId(), messages: undated };
    return this.#made(await this.#conversations.create(principal, request, this.#bounds));
  }

  /** @param {object[]} undated messages */
  #checkLength(undated) {
    const createdAt = Math.floor(this.#conversations.nowMs() / 1000);
    const { maxBytesEach } = this.#limits;
    const json = JSON.stringify(undated.map((message) => ({ ...message, createdAt })));
    const bytes = undated.length === 0 ? 0 : Buffer.byteLength(json);
    if (bytes > maxBytesEach) throw conversationTooLong(maxBytesEach);
  }

  /** @type {ConversationStore['fork']} */
  async fork(principal, id, settings, at) {
    if (!isConversationId(id)) throw conversationNotFound();
    this.#turns.checkOpen();
    const request = { ...settings, id: newConversationId(), source: id, at };
    return this.#made(await this.#conversations.fork(principal, request, this.#bounds));
  }

  /**
   * @param {import('../../cluster/shared-conversations.js').SharedConversation | Refusal} outcome
   * @returns {import('./store.js').Whole}
   */
  #made(outcome) {
    if (!('refused' in outcome)) return outcome;
    if (outcome.refused === 'full') throw fullBy(outcome.limit, this.#limits);
    throw outcome.refused === 'beyond' ? beyondMessages(outcome.count) : conversationNotFound();
  }

  /** @type {ConversationStore['read']} */
  async read(principal, id) {
    return isConversationId(id) ? this.#conversations.read(principal, id) : undefined;
  }

  /** @type {ConversationStore['list']} */
  async list(principal, page) {
    const found = await this.#conversations.list(principal, page);
    if (found === undefined) throw unknownAfter();
    return found;
  }

  /** @type {ConversationStore['recent']} */
  async recent({ limit }) {
    return { heads: await this.#conversations.recent(limit), truncated: false };
  }

  /** @type {ConversationStore['remove']} */
  async remove(principal, id) {
    if (!isConversationId(id)) throw conversationNotFound();
    const outcome = await this.#conversations.remove(principal, id);
    if ('refused' in outcome) {
      throw outcome.refused === 'busy' ? conversationBusy(outcome.job) : conversationNotFound();
    }
    if (outcome.job !== undefined) await this.#cancel(outcome.job, principal);
  }

  /**
   * @param {string} jobId of a turn whose conversation no longer exists: its messages are not stored
   * @param {string} principal
   */
  async #cancel(jobId, principal) {
    try {
      const record = await this.#directory.find(jobId, principal);
      if (record !== undefined) await this.#directory.cancel(record, 'client_request');
    } catch (err) {
      const fields = { err, job_id: jobId };
      this.#log.warn(fields, 'the job of a deleted conversation is not cancelled');
    }
  }
}
