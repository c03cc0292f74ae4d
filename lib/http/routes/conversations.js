/** `/v1/conversations`: create, list, read, fork, delete. */
import { checkConversationsQuery } from '../../services/conversations/requests.js';
import { conversationNotFound } from '../../services/conversations/errors.js';
import { sendJson, sendNoContent } from '../respond.js';

/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('../../services/conversations/service.js').Conversation} Conversation */

/**
 * @param {import('../../services/conversations/messages.js').Message} message
 * @returns {object} the body of an answer
 */
function messageToJson({ createdAt, jobId, finishReason, textTruncated, ...message }) {
  return {
    ...message,
    created_at: createdAt,
    ...(jobId && { job_id: jobId }),
    ...(finishReason && { finish_reason: finishReason }),
    ...(textTruncated && { text_truncated: true }),
  };
}

/**
 * @param {Conversation} conversation
 * @returns {object} the body of an answer
 */
function conversationToJson({ id, title, metadata, messages, busyJobId, forkedFrom, ...rest }) {
  return {
    conversation_id: id,
    ...(title !== undefined && { title }),
    ...(metadata && { metadata }),
    created_at: rest.createdAt,
    updated_at: rest.updatedAt,
    expires_at: rest.expiresAt,
    message_count: rest.messageCount,
    ...(busyJobId && { busy_job_id: busyJobId }),
    ...(rest.busyMessages && { busy_messages: rest.busyMessages.map(messageToJson) }),
    ...(forkedFrom && {
      forked_from: { conversation_id: forkedFrom.id, message_count: forkedFrom.messageCount },
    }),
    ...(messages && { messages: messages.map(messageToJson) }),
  };
}

/**
 * @param {{conversations: import('../../services/conversations/service.js').Conversations}} deps
 * @returns {import('../router.js').Routes}
 */
export function conversationRoutes({ conversations }) {
  /**
   * @param {import('node:http').ServerResponse} res
   * @param {string} baseUrl
   * @param {Conversation} created
   */
  const sendCreated = (res, baseUrl, created) => {
    res.setHeader('Location', `${baseUrl}/v1/conversations/${created.id}`);
    sendJson(res, 201, conversationToJson(created));
  };

  /** @type {Handle} */
  async function create(_req, res, { access: { principal }, baseUrl, body }) {
    sendCreated(res, baseUrl, await conversations.create(body, { principal }));
  }

  /** @type {Handle} */
  async function fork(_req, res, { params: { id = '' }, access: { principal }, baseUrl, body }) {
    sendCreated(res, baseUrl, await conversations.fork(id, body, { principal }));
  }

  /** @type {Handle} */
  async function read(_req, res, { params: { id = '' }, access: { principal } }) {
    const found = await conversations.get(id, { principal });
    if (found === undefined) throw conversationNotFound();
    sendJson(res, 200, conversationToJson(found));
  }

  /** @type {Handle} */
  async function list(_req, res, { query, access: { principal } }) {
    const page = await conversations.list({ ...checkConversationsQuery(query), principal });
    sendJson(res, 200, { data: page.data.map(conversationToJson), has_more: page.hasMore });
  }

  /** @type {Handle} */
  async function remove(_req, res, { params: { id = '' }, access: { principal } }) {
    await conversations.delete(id, { principal });
    sendNoContent(res);
  }

  return {
    '/v1/conversations': {
      GET: { handle: list },
      POST: { handle: create, body: 'optional-json', resource: 'conversations' },
    },
    '/v1/conversations/:id': {
      GET: { handle: read },
      DELETE: { handle: remove, audit: { action: 'conversation.delete', erases: true } },
    },
    '/v1/conversations/:id/fork': {
      POST: { handle: fork, body: 'optional-json', resource: 'conversations' },
    },
  };
}
