/** `/v1/messages`, for Anthropic's clients. */
import { estimatePromptTokens } from '../../../jobs/prompt-tokens.js';
import { faceOf, tailOf } from '../ids.js';
import { messagesAnswer } from './answer.js';
import { joinOrphan, ready, RETRY_GRACE_MS, setFaceHeaders, submitFaced } from '../submit.js';
import { readCountRequest, readMessagesRequest } from './request.js';
import { sendJson } from '../../respond.js';
import { setMessagesRequestId } from '../../middleware/request-id.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../router.js').Handle} Handle */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

const PATH = '/v1/messages';

/**
 * @param {object} deps
 * @param {import('../../../jobs/admission/admission.js').Admission} deps.admission
 * @param {import('../calls.js').FaceCalls} deps.calls
 * @param {{provider: import('../../../providers/shared/types.js').Provider}} deps.options
 * @returns {import('../../router.js').Routes}
 */
export function messagesRoutes({ admission, calls, options: { provider } }) {
  /**
   * @param {ServerResponse} res
   * @param {JobRecord} record
   * @param {{stream: boolean, startedAt: number, request: import('../calls.js').FaceRequest}} answerOptions
   */
  async function answer(res, record, { stream, startedAt, request }) {
    const call = calls.join(res, [record], request);
    const tail = tailOf(record);
    const { model = null } = faceOf(record, 'messages') ?? {};
    const facts = { id: `msg_${tail}`, model: model ?? record.model };
    const states = await ready(call, stream, () => setFaceHeaders(res, startedAt, record));
    if (states === undefined) return;
    if (stream) {
      const created = Math.floor(record.createdAtMs / 1000);
      call.stream({ dialect: 'messages', ...facts, tail, created });
      return;
    }
    sendJson(res, 200, messagesAnswer(facts, states[0]));
  }

  /** @type {Handle} */
  async function create(req, res, { access, body, digest }) {
    const startedAt = performance.now();
    setMessagesRequestId(res);
    const { request, passed, options, stream } = readMessagesRequest(body, {
      isStrict: provider.takesMessages !== true,
      beta: req.headers['anthropic-beta'],
    });
    if (stream) calls.takePlace(res, access.principal);
    const answerOptions = { stream, startedAt, request: { path: PATH, digest } };
    const face = { dialect: 'messages', model: request.model };
    const record =
      (await joinOrphan(calls, req, res, access.principal, answerOptions.request)) ??
      (
        await submitFaced(admission, req, res, {
          ...{ access, face, request, passed, fingerprint: { path: PATH, body } },
          options: { on_disconnect: 'cancel', disconnect_grace_ms: RETRY_GRACE_MS, ...options },
        })
      )?.record;
    if (record !== undefined) await answer(res, record, answerOptions);
  }

  /** @type {Handle} */
  function count(_req, res, { body }) {
    setMessagesRequestId(res);
    const { messages, tools } = readCountRequest(body);
    const passed = tools === undefined ? {} : { tools };
    const tokens = estimatePromptTokens(/** @type {any} */ ({ messages, passed }));
    sendJson(res, 200, { input_tokens: tokens, estimated: true });
  }

  const body = /** @type {const} */ ('exact-json');
  return {
    [PATH]: { POST: { handle: calls.withPlaces(create), body, digest: true } },
    [`${PATH}/count_tokens`]: { POST: { handle: count, body } },
  };
}
