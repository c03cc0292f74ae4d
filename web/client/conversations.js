/** Conversations of the caller: create, read, list, fork, delete. Answers are the server's own. */

/**
 * @typedef {object} ConversationMessage
 * @property {'system' | 'developer' | 'user' | 'assistant'} role
 * @property {string} content
 * @property {number} created_at Unix seconds
 * @property {string} [job_id] whose turn it is of
 * @property {'stop' | 'length' | 'cancelled'} [finish_reason] of an answer
 */

/**
 * @typedef {object} Conversation
 * @property {string} conversation_id
 * @property {string} [title]
 * @property {Record<string, unknown>} [metadata]
 * @property {number} created_at Unix seconds
 * @property {number} updated_at
 * @property {number | null} expires_at
 * @property {number} message_count
 * @property {ConversationMessage[]} messages absent in lists
 * @property {string} [busy_job_id] the job whose turn is under way
 * @property {ConversationMessage[]} [busy_messages] what that one is asked
 */

/** Made with its client, as `client.conversations`. Failures are SluiceClientErrors. */
export class Conversations {
  #call;

  /** @param {(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) => Promise<any>} call */
  constructor(call) {
    this.#call = call;
  }

  /**
   * @param {{title?: string, metadata?: Record<string, unknown>, ttl_s?: number,
   *   messages?: {role: string, content: string}[]}} [request]
   * @returns {Promise<Conversation>}
   */
  create(request = {}) {
    return this.#call('POST', '/v1/conversations', request);
  }

  /** @param {string} id @returns {Promise<Conversation>} */
  get(id) {
    return this.#call('GET', pathOf(id));
  }

  /**
   * A page, the newest activity first.
   * @param {{limit?: number, after?: string}} [options] `after`: the last id of the page before
   * @returns {Promise<{data: Conversation[], has_more: boolean}>}
   */
  list({ limit = 20, after } = {}) {
    const query = new URLSearchParams({ limit: String(limit), ...(after && { after }) });
    return this.#call('GET', `/v1/conversations?${query}`);
  }

  /**
   * @param {string} id
   * @param {{at?: number, title?: string}} [request] `at`: how many messages it begins with
   * @returns {Promise<Conversation>}
   */
  fork(id, request = {}) {
    return this.#call('POST', `${pathOf(id)}/fork`, request);
  }

  /** A turn that is under way is cancelled. @param {string} id @returns {Promise<void>} */
  async delete(id) {
    await this.#call('DELETE', pathOf(id));
  }
}

/** @param {string} id */
function pathOf(id) {
  return `/v1/conversations/${encodeURIComponent(id)}`;
}
