/** `/v1/conversations`: create, list, read, fork, delete. */
import { checkConversationsQuery } from '../../services/conversations/requests.js';
import { conversationNotFound } from '../../services/conversations/errors.js';
import { optionalJsonBody } from '../middleware/json-body.js';
import { principalOf } from '../middleware/authenticate.js';

/** @typedef {import('express').RequestHandler} RequestHandler */
/** @typedef {import('../../services/conversations/service.js').Conversation} Conversation */

/**
 * @param {import('../../services/conversations/repository.js').Message} message
 * @returns {object} as on the wire
 */
function wireMessage({ role, content, createdAt, jobId, finishReason, textTruncated }) {
  return {
    role,
    content,
    created_at: createdAt,
    ...(jobId && { job_id: jobId }),
    ...(finishReason && { finish_reason: finishReason }),
    ...(textTruncated && { text_truncated: true }),
  };
}

/**
 * @param {Conversation} conversation
 * @returns {object} as on the wire
 */
function wireConversation({ id, title, metadata, messages, busyJobId, forkedFrom, ...rest }) {
  return {
    conversation_id: id,
    ...(title !== undefined && { title }),
    ...(metadata && { metadata }),
    created_at: rest.createdAt,
    updated_at: rest.updatedAt,
    expires_at: rest.expiresAt,
    message_count: rest.messageCount,
    ...(busyJobId && { busy_job_id: busyJobId }),
    ...(rest.busyMessages && { busy_messages: rest.busyMessages.map(wireMessage) }),
    ...(forkedFrom && {
      forked_from: { conversation_id: forkedFrom.id, message_count: forkedFrom.messageCount },
    }),
    ...(messages && { messages: messages.map(wireMessage) }),
  };
}

/** @param {import('express').Request} req */
function idOf(req) {
  const { id } = req.params;
  if (typeof id !== 'string') throw conversationNotFound();
  return id;
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {Record<'read' | 'list' | 'remove', RequestHandler> &
 *   Record<'create' | 'fork', RequestHandler[]>}
 */
export function conversationRoutes({ conversations }) {
  /**
   * @param {import('express').Request} req
   * @param {import('express').Response} res
   * @param {Conversation} made
   */
  const created = (req, res, made) => {
    res
      .status(201)
      .location(`${req.baseUrl}/v1/conversations/${made.id}`)
      .json(wireConversation(made));
  };

  return {
    create: [
      ...optionalJsonBody,
      async (req, res) => {
        const principal = principalOf(req);
        created(req, res, await conversations.create(req.body, { principal }));
      },
    ],

    fork: [
      ...optionalJsonBody,
      async (req, res) => {
        const principal = principalOf(req);
        created(req, res, await conversations.fork(idOf(req), req.body, { principal }));
      },
    ],

    async read(req, res) {
      const found = await conversations.get(idOf(req), { principal: principalOf(req) });
      if (found === undefined) throw conversationNotFound();
      res.json(wireConversation(found));
    },

    async list(req, res) {
      const query = checkConversationsQuery(req.query);
      const page = await conversations.list({ ...query, principal: principalOf(req) });
      res.json({ data: page.data.map(wireConversation), has_more: page.hasMore });
    },

    async remove(req, res) {
      await conversations.delete(idOf(req), { principal: principalOf(req) });
      res.status(204).end();
    },
  };
}
