/** `/v1/responses`, for OpenAI's clients. */
import { HttpError, badRequest } from '../../../internal/util/http-error.js';
import { answerMessages, inputItems, isReference, itemsOf, messagesOf } from './items.js';
import { cursorOf } from '../../routes/streams.js';
import { faceOf, jobIdOf, tailOf } from '../ids.js';
import { interpretResponse } from './request.js';
import { joinOrphan, RETRY_GRACE_MS, setFaceHeaders, submitFaced } from '../submit.js';
import { sendJson } from '../../respond.js';
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../router.js').Handle} Handle */
/** @typedef {import('../../router.js').Context} Context */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * Data of a response stored with its job.
 * @typedef {object} ResponseFace
 * @property {'responses'} dialect
 * @property {string | null} model as requested
 * @property {object} envelope the members of the response object that repeat the request
 * @property {boolean} summary whether reasoning is shown as its summary
 * @property {boolean} background
 * @property {boolean} store
 * @property {import('./items.js').Item[]} input the items of its own input
 * @property {import('./items.js').Message[]} messages of the whole chain, without instructions
 * @property {number} [retention_ms] of its log
 */

const PATH = '/v1/responses';
/** Reasons of a completed job whose response is `incomplete`. */
const INCOMPLETE = new Set(['length', 'content_filter']);
const LIST_LIMIT = 20;
const LIST_LIMIT_MAX = 100;

/** @param {string} id */
function responseNotFound(id) {
  return new HttpError(404, {
    code: 'response_not_found',
    param: 'response_id',
    message: `No response with the id ${JSON.stringify(id.slice(0, 100))}.`,
  });
}

/** @param {string} message */
function noPrevious(message) {
  return badRequest('previous_response_not_found', 'previous_response_id', message);
}

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
  const { hub } = calls;

  /**
   * @param {JobRecord} record
   * @param {ResponseFace} face
   * @param {number} [after] number of frames that the client has received
   * @returns {import('../../../streams/types.js').FaceOptions}
   */
  function frames(record, face, after = 0) {
    const tail = tailOf(record);
    return {
      dialect: 'responses',
      id: `resp_${tail}`,
      tail,
      model: face.model ?? record.model,
      created: Math.floor(record.createdAtMs / 1000),
      envelope: stringifyExact(face.envelope),
      reasoningSummary: face.summary,
      background: face.background,
      after,
    };
  }

  /**
   * @param {JobRecord} record
   * @param {ResponseFace} face
   * @returns {Promise<any>} the response object for the current log
   */
  async function describe(record, face) {
    const response = await hub.answer(record.handle, frames(record, face));
    if (response === null) throw responseNotFound(`resp_${tailOf(record)}`);
    return response;
  }

  /**
   * A stored response of the caller.
   * @param {string} id
   * @param {string} principal
   * @returns {Promise<{record: JobRecord, face: ResponseFace} | undefined>}
   */
  async function find(id, principal) {
    const record = await directory.find(jobIdOf('resp_', id), principal);
    const face = /** @type {ResponseFace | undefined} */ (faceOf(record, 'responses'));
    const isKept = record !== undefined && face?.store === true && !stored.isEvicted(record);
    return isKept ? { record, face } : undefined;
  }

  /** @param {Context} context */
  async function foundBy({ params: { id = '' }, access: { principal } }) {
    const found = await find(id, principal);
    if (found === undefined) throw responseNotFound(id);
    return found;
  }

  /**
   * @param {JobRecord} record
   * @returns {Promise<import('./items.js').Message[]>} the message of its answer
   */
  async function answerOf({ handle }) {
    const state = await hub.snapshot(handle, { items: true });
    return answerMessages(state?.items ?? []);
  }

  /**
   * The messages of the chain that ends with a response.
   * @param {string | undefined} id
   * @param {string} principal
   * @returns {Promise<import('./items.js').Message[]>}
   */
  async function chain(id, principal) {
    if (id === undefined) return [];
    const found = await find(id, principal);
    if (found === undefined) {
      throw noPrevious(`No stored response ${JSON.stringify(id.slice(0, 100))}.`);
    }
    const { record, face } = found;
    if (!record.ended) await directory.settled(record);
    const { status, reason } = record.final ?? {};
    if (status !== 'completed' || INCOMPLETE.has(reason)) {
      throw noPrevious(`The response ${id} is not completed.`);
    }
    return [...face.messages, ...(await answerOf(record))];
  }

  /**
   * Replaces references to items of stored responses by these items.
   * @param {import('./items.js').Item[]} items
   * @param {string} principal
   */
  async function resolved(items, principal) {
    return Promise.all(
      items.map(async (item, i) => {
        if (!isReference(item)) return item;
        const tail = /^[a-z]+_(.{24})_/.exec(String(item.id))?.[1] ?? '';
        const found = await find(`resp_${tail}`, principal);
        const output = found && (await describe(found.record, found.face)).output;
        const all = [...(output ?? []), ...inputItems(found?.face.input ?? [], tail)];
        const named = all.find(({ id }) => id === item.id);
        if (named !== undefined) return named;
        throw badRequest('item_not_found', `input[${i}].id`, `No stored item has this id.`);
      }),
    );
  }

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {import('./request.js').ResponseRequest} asked
   */
  async function submit(req, res, { access, body }, asked) {
    const { background, store, instructions, model, request, passed, envelope, summary } = asked;
    const earlier = await chain(asked.previous, access.principal);
    const items = await resolved(itemsOf(asked.input), access.principal);
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
      sendJson(res, 200, await describe(record, face));
      return;
    }
    const call = calls.join(res, [record], asked.background ? undefined : request);
    if (asked.stream) call.stream(frames(record, face));
    else if (await call.ending()) sendJson(res, 200, await describe(record, face));
  }

  /** @type {Handle} */
  async function read(req, res, context) {
    const startedAt = performance.now();
    const { record, face } = await foundBy(context);
    const { query } = context;
    if (query.stream !== 'true') {
      const response = await describe(record, face);
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
    calls.join(res, [record]).stream(frames(record, face, number === '' ? 0 : Number(number) + 1));
  }

  /** @type {Handle} */
  async function cancel(_req, res, context) {
    const startedAt = performance.now();
    const { record, face } = await foundBy(context);
    await directory.cancel(record, 'client_request');
    const response = await describe(record, face);
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
