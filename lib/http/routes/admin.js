/** `/v1/admin`: data and actions of the dashboard. For administrators. */
import { badRequest } from '../../internal/util/http-error.js';
import { checkListQuery } from '../../jobs/request.js';
import { conversationsOf } from '../../services/admin/state.js';
import { sendJson } from '../respond.js';
import { streamIterated } from '../sse/iterated-events.js';
import { turnAway } from './streams.js';
import { workflowToJson } from './operations.js';

/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('../router.js').Context} Context */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** Jobs in the table of the dashboard. */
const ROWS_DEFAULT = '50';

/**
 * @param {Context['query']} query
 * @returns {import('../../services/admin/jobs.js').JobFilter}
 */
function filterOf({ model, key, limit = ROWS_DEFAULT, ...page }) {
  const texts = { model, key };
  for (const [name, value] of Object.entries(texts)) {
    if (value !== undefined && (typeof value !== 'string' || value === '')) {
      throw badRequest('invalid_value', name, `${name} must be one text.`);
    }
  }
  return {
    ...checkListQuery({ ...page, limit }),
    ...(texts.model !== undefined && { model: String(model) }),
    ...(texts.key !== undefined && { key: String(key) }),
  };
}

/** @param {any} node without its text, which may be large and is private to its owner */
const nodeOf = ({ text: _text, items: _items, text_omitted: _omitted, ...node }) => node;

/**
 * @param {object} deps
 * @param {import('../../services/admin/jobs.js').AdminJobs} deps.jobs
 * @param {import('../../services/admin/feed.js').AdminFeed} deps.feed
 * @param {import('../../jobs/job-directory.js').JobDirectory} deps.directory
 * @param {import('../../services/workflows/service.js').Workflows} deps.workflows
 * @param {import('../../services/conversations/service.js').Conversations} deps.conversations
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open streams of administrators
 * @param {{heartbeatMs: number, stallMs: number, reconnectMs: number}} deps.options
 * @returns {import('../router.js').Routes}
 */
export function adminRoutes({ jobs, feed, directory, open, options, ...deps }) {
  /**
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {(signal: AbortSignal) => AsyncIterable<{event: string, data: object}>} iterate
   */
  async function stream(res, { access: { principal } }, iterate) {
    if (!open.hasRoom(principal)) {
      turnAway(res);
      return;
    }
    const close = open.open(principal);
    const { heartbeatMs, stallMs, reconnectMs } = options;
    try {
      await streamIterated(res, { events: iterate, heartbeatMs, stallMs, reconnectMs });
    } finally {
      close();
    }
  }

  /** @type {Handle} */
  async function events(_req, res, context) {
    const filter = filterOf({ ...context.query, after: undefined });
    await stream(res, context, (signal) => feed.listen(filter, signal));
  }

  /** @type {Handle} */
  async function list(_req, res, { query }) {
    sendJson(res, 200, await jobs.page(filterOf(query)));
  }

  /** @type {Handle} */
  async function read(_req, res, { params: { id = '' } }) {
    sendJson(res, 200, await jobs.describe(jobs.find(id)));
  }

  /** @type {Handle} */
  async function watch(_req, res, context) {
    const record = jobs.find(context.params.id ?? '');
    await stream(res, context, (signal) => jobs.watch(record, signal));
  }

  /** @type {Handle} */
  async function cancel(_req, res, { params: { id = '' }, note }) {
    const record = jobs.find(id);
    note({ details: { owner: record.principal } });
    await directory.cancel(record, 'client_request');
    sendJson(res, 200, await jobs.describe(record));
  }

  /** @type {Handle} */
  async function workflow(_req, res, { params: { id = '' } }) {
    const operation = await deps.workflows.findOfAny(id);
    const page = await deps.workflows.pageOf(operation);
    const { nodes = [], ...view } = page;
    const bare = { ...view, nodes: nodes.map(nodeOf) };
    sendJson(res, 200, { ...workflowToJson(bare), key: operation.principal });
  }

  /** @type {Handle} */
  async function conversations(_req, res) {
    sendJson(res, 200, await conversationsOf(deps.conversations));
  }

  /** @type {(handle: Handle) => {GET: import('../router.js').Endpoint}} */
  const get = (handle) => ({ GET: { handle, auth: 'admin' } });
  /** @type {(handle: Handle) => {GET: import('../router.js').Endpoint}} */
  const follow = (handle) => ({ GET: { handle, auth: 'admin', head: false } });
  return {
    '/v1/admin/events': follow(events),
    '/v1/admin/jobs': get(list),
    '/v1/admin/jobs/:id': get(read),
    '/v1/admin/jobs/:id/events': follow(watch),
    '/v1/admin/jobs/:id/cancel': {
      POST: { handle: cancel, auth: 'admin', audit: { action: 'job.cancel' } },
    },
    '/v1/admin/workflows/:id': get(workflow),
    '/v1/admin/conversations': get(conversations),
  };
}
