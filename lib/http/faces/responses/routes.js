/** `/v1/responses`, for OpenAI's clients. */
import { badRequest } from '../../../internal/util/http-error.js';
import { inputItems, itemsOf, messagesOf } from './items.js';
import { cursorOf } from '../../routes/streams.js';
import { faceOf, tailOf } from '../ids.js';
import { interpretResponse } from './request.js';
import { joinOrphan, RETRY_GRACE_MS, setFaceHeaders, submitFaced } from '../submit.js';
import { Responses } from './responses.js';
import { sendJson } from '../../respond.js';

/** @typedef {import('./responses.js').ResponseFace} ResponseFace */
/** @typedef {import('../../router.js').Handle} Handle */
/** @typedef {import('../../router.js').Context} Context */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

const PATH = '/v1/responses';
const LIST_LIMIT = 20;
const LIST_LIMIT_MAX = 100;

/**
 * @param {object} deps
 * @param {import('../../../jobs/admission/admission.js').Admission} deps.admission
 * @param {import('../../../jobs/job-directory.js').JobDirectory} deps.directory
 * @param {import('../../routes/jobs.js').JobsPort} deps.jobs
 * @param {import('../calls.js').FaceCalls} deps.calls
 * @param {import('./stored.js').StoredResponses} deps.stored
 * @param {{responses: {ttlMs: number, maxCount: number, maxBytes: number},
 *   unsupportedTools: 'refuse' | 'drop'}} deps.options
 * @returns {import('../../router.js').Routes}
 */
export function responseRoutes({ admission, directory, jobs, calls, stored, options }) {
  const responses = new Responses({ hub: calls.hub, directory, stored });

  /** @param {Context} context */
  const foundBy = ({ params: { id = '' }, access }) => responses.get(id, access.principal);

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {import('./request.js').ResponseRequest} asked
   */
  async function submit(req, res, { access, body }, asked) {
    const { background, store, instructions, model, request, passed, envelope, summary } = asked;
    const earlier = await responses.chain(asked.previous, access.principal);
    const items = await responses.resolved(itemsOf(asked.input), access.principal);
    const messages = [...earlier, ...messagesOf(items)];
    const isTurn = asked.options.conversation_id !== undefined;
    const system =
      instructions === null || isTurn ? [] : [{ role: 'system', content: instructions }];
    const face = {
      ...{ dialect: 'responses', model: model ?? null, envelope, summary, background, store },
      ...{ input: items, messages },
      ...(store && { retention_ms: options.responses.ttlMs }),
    };
    const own = background
      ? { ...asked.options, on_disconnect: 'continue' }
      : { on_disconnect: 'cancel', disconnect_grace_ms: RETRY_GRACE_MS, ...asked.options };
    const submission = {
      ...{ access, face, passed, options: own, fingerprint: { path: PATH, body } },
      request: {
        ...{ ...request, model, messages: [...system, ...messages] },
        ...(isTurn && instructions !== null && { instructions }),
      },
    };
    const named = body.conversation ? 'conversation' : undefined;
    return (await submitFaced(admission, req, res, submission, named))?.record;
  }

  /** @type {Handle} */
  async function create(req, res, context) {
    const startedAt = performance.now();
    const { access, body, digest } = context;
    const asked = interpretResponse(body, options);
    if (asked.stream) calls.takePlace(res, access.principal);
    const request = { path: PATH, digest };
    const record =
      (await joinOrphan(calls, req, res, access.principal, request)) ??
      (await submit(req, res, context, asked));
    if (record === undefined) return;
    const face = /** @type {ResponseFace} */ (faceOf(record, 'responses'));
    setFaceHeaders(res, startedAt, record);
    if (asked.background && !asked.stream) {
      sendJson(res, 200, await responses.describe(record, face));
      return;
    }
    const call = calls.join(res, [record], asked.background ? undefined : request);
    if (asked.stream) call.stream(responses.framesOf(record, face));
    else if (await call.ending()) sendJson(res, 200, await responses.describe(record, face));
  }

  /** @type {Handle} */
  async function read(req, res, context) {
    const startedAt = performance.now();
    const { record, face } = await foundBy(context);
    const { query } = context;
    if (query.stream !== 'true') {
      const response = await responses.describe(record, face);
      setFaceHeaders(res, startedAt, record);
      sendJson(res, 200, response);
      return;
    }
    const header = query.starting_after === undefined;
    const number = header ? cursorOf(req, query) : query.starting_after;
    if (typeof number !== 'string' || !(header ? /^\d{0,15}$/ : /^\d{1,15}$/).test(number)) {
      const param = header ? 'Last-Event-ID' : 'starting_after';
      throw badRequest('invalid_value', param, `${param} must be the number of an event.`);
    }
    calls.takePlace(res, context.access.principal);
    setFaceHeaders(res, startedAt, record);
    calls
      .join(res, [record])
      .stream(responses.framesOf(record, face, number === '' ? 0 : Number(number) + 1));
  }

  /** @type {Handle} */
  async function cancel(_req, res, context) {
    const startedAt = performance.now();
    const { record, face } = await foundBy(context);
    await directory.cancel(record, 'client_request');
    const response = await responses.describe(record, face);
    setFaceHeaders(res, startedAt, record);
    sendJson(res, 200, response);
  }

  /** @type {Handle} */
  async function remove(_req, res, context) {
    const { record } = await foundBy(context);
    await jobs.delete(record.id, { principal: record.principal });
    sendJson(res, 200, { id: context.params.id, object: 'response', deleted: true });
  }

  /** @type {Handle} */
  async function list(_req, res, context) {
    const { record, face } = await foundBy(context);
    const { limit = String(LIST_LIMIT), order = 'desc', after } = context.query;
    if (
      typeof limit !== 'string' ||
      !/^\d{1,3}$/.test(limit) ||
      +limit < 1 ||
      +limit > LIST_LIMIT_MAX
    ) {
      throw badRequest('invalid_value', 'limit', `limit must be from 1 to ${LIST_LIMIT_MAX}.`);
    }
    if (order !== 'asc' && order !== 'desc') {
      throw badRequest('invalid_value', 'order', 'order must be asc or desc.');
    }
    const items = inputItems(face.input, tailOf(record));
    if (order === 'desc') items.reverse();
    const from = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1;
    if (after !== undefined && from === 0) {
      throw badRequest('invalid_value', 'after', 'after must be the id of an item.');
    }
    const data = items.slice(from, from + Number(limit));
    sendJson(res, 200, {
      object: 'list',
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: from + data.length < items.length,
    });
  }

  return {
    [PATH]: { POST: { handle: calls.withPlaces(create), body: 'exact-json', digest: true } },
    '/v1/responses/:id': {
      GET: { handle: calls.withPlaces(read), head: false },
      DELETE: { handle: remove, audit: { action: 'response.delete', erases: true } },
    },
    '/v1/responses/:id/cancel': { POST: { handle: cancel, audit: { action: 'response.cancel' } } },
    '/v1/responses/:id/input_items': { GET: { handle: list } },
  };
}
