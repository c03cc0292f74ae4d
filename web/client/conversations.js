/** Conversations of the caller: create, read, list, fork, delete. Returns the server's answers unchanged. */
import { checkOptions } from './options.js';

/**
 * A part of a message's content, or a tool call, in the format of the chat API.
 * @typedef {{type: string, [member: string]: unknown}} MessageMember
 */

/**
 * @typedef {object} ConversationMessage
 * @property {'system' | 'developer' | 'user' | 'assistant' | 'tool' | 'function'} role
 * @property {string | MessageMember[] | null} [content] text, or parts in the format of the chat API; absent or
 *   null in an answer without text
 * @property {MessageMember[] | null} [tool_calls] of an answer
 * @property {string} [tool_call_id] of a tool's result
 * @property {string | null} [refusal] of an answer
 * @property {string} [reasoning] of an answer
 * @property {number} created_at Unix seconds
 * @property {string} [job_id] the job of its turn
 * @property {'stop' | 'length' | 'tool_calls' | 'cancelled'} [finish_reason] of an answer
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
 * @property {string} [busy_job_id] the job of the running turn
 * @property {ConversationMessage[]} [busy_messages] the new messages of the running turn
 */

/** The property `conversations` of a client. Methods reject with SluiceClientErrors. */
export class Conversations {
  #call;

  /** @param {(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) => Promise<any>} call */
  constructor(call) {
    this.#call = call;
  }

  /**
   * @param {{title?: string, metadata?: Record<string, unknown>, ttl_s?: number,
   *   messages?: {role: string, content?: string | object[] | null, [member: string]: unknown}[]}} [request]
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
   * One page, most recent activity first.
   * @param {{limit?: number, after?: string}} [options] `after`: the last id of the previous page
   * @returns {Promise<{data: Conversation[], has_more: boolean}>}
   */
  list(options = {}) {
    const { limit = 20, after } = checkOptions('list', options, ['limit', 'after']);
    const query = new URLSearchParams({ limit: String(limit), ...(after && { after }) });
    return this.#call('GET', `/v1/conversations?${query}`);
  }

  /**
   * @param {string} id
   * @param {{at?: number, title?: string}} [request] `at`: the number of copied messages; default all
   * @returns {Promise<Conversation>}
   */
  fork(id, request = {}) {
    return this.#call('POST', `${pathOf(id)}/fork`, request);
  }

  /** Deletes a conversation and cancels its running turn. @param {string} id @returns {Promise<void>} */
  async delete(id) {
    await this.#call('DELETE', pathOf(id));
  }
}

/** @param {string} id */
function pathOf(id) {
  return `/v1/conversations/${encodeURIComponent(id)}`;
}
