/** `/v1/chat/completions` and `/v1/completions`, for OpenAI's clients. */
import { badRequest, HttpError } from '../../../internal/util/http-error.js';
import { chatAnswer, completionAnswer } from './answer.js';
import { faceOf, jobIdOf, tailOf } from '../ids.js';
import { idempotencyKeyOf } from '../../routes/jobs.js';
import { divideChat, divideCompletions } from './request.js';
import { cursorOf } from '../../routes/streams.js';
import { digestOf } from '../../middleware/body.js';
import { sendJson } from '../../respond.js';
import { joinOrphan, ready, RETRY_GRACE_MS, setFaceHeaders, submitFaced } from '../submit.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../router.js').Handle} Handle */
/** @typedef {import('../../router.js').Context} Context */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('node:http').IncomingMessage} IncomingMessage */

/**
 * Data of a call stored with its job, to reproduce the same bytes.
 * @typedef {object} ChatFace
 * @property {'chat' | 'completions'} dialect
 * @property {string | null} model as requested
 * @property {boolean} [include_usage]
 */

/**
 * @typedef {object} ChatDeps
 * @property {import('../../../jobs/admission/admission.js').Admission} admission
 * @property {import('../../../jobs/job-directory.js').JobDirectory} directory
 * @property {import('../calls.js').FaceCalls} calls
 * @property {{reasoningField: import('./answer.js').ReasoningField}} options
 */

const PATHS = { chat: '/v1/chat/completions', completions: '/v1/completions' };

const DIALECTS = {
  chat: { prefix: 'chatcmpl', answer: chatAnswer },
  completions: { prefix: 'cmpl', answer: completionAnswer },
};

/**
 * @param {ChatDeps} deps
 * @returns {import('../../router.js').Routes}
 */
export function chatRoutes({ admission, directory, calls, options }) {
  /**
   * @param {ChatFace['dialect']} dialect
   * @param {JobRecord[]} records
   */
  function factsOf(dialect, [record]) {
    const face = /** @type {ChatFace} */ (record.extra?.face);
    return {
      id: `${DIALECTS[dialect].prefix}-${tailOf(record)}`,
      created: Math.floor(record.createdAtMs / 1000),
      model: face.model ?? record.model,
      choicesPerPrompt: 1 + record.siblings.length,
      reasoningField: options.reasoningField,
    };
  }

  /**
   * Answers with the records' logs, as a stream or whole, once an answer can begin.
   * @param {ServerResponse} res
   * @param {JobRecord[]} records
   * @param {object} answerOptions
   * @param {ChatFace['dialect']} answerOptions.dialect
   * @param {boolean} answerOptions.stream
   * @param {boolean} [answerOptions.includeUsage]
   * @param {number} [answerOptions.after] number of frames that the client has received
   * @param {number} answerOptions.startedAt
   * @param {import('../calls.js').FaceRequest} [answerOptions.request] default: no retry can join the call
   */
  async function answer(res, records, answerOptions) {
    const { dialect, stream, includeUsage = false, after = 0, startedAt, request } = answerOptions;
    const call = calls.join(res, records, request);
    const facts = factsOf(dialect, records);
    const states = await ready(call, stream, () => setFaceHeaders(res, startedAt, records[0]));
    if (states === undefined) return;
    if (stream) {
      const choices = records.length * facts.choicesPerPrompt;
      call.stream({ dialect, ...facts, tail: tailOf(records[0]), choices, includeUsage, after });
      return;
    }
    sendJson(res, 200, DIALECTS[dialect].answer(facts, states));
  }

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {ChatFace['dialect']} dialect
   * @param {import('./request.js').Divided & {prompts?: (string | number[])[]}} asked
   */
  async function serve(req, res, { access, body, digest }, dialect, asked) {
    const startedAt = performance.now();
    const { principal } = access;
    const { stream, includeUsage } = asked;
    if (stream) calls.takePlace(res, principal);
    const request = { path: PATHS[dialect], digest };
    const answerOptions = { dialect, stream, includeUsage, startedAt, request };
    const orphan = await joinOrphan(calls, req, res, principal, request);
    if (orphan !== undefined) {
      await answer(res, [orphan, ...orphan.peers], answerOptions);
      return;
    }
    const records = await submit(req, res, { access, body }, dialect, asked);
    if (records !== undefined) await answer(res, records, answerOptions);
  }

  /**
   * @param {IncomingMessage} req
   * @param {ServerResponse} res
   * @param {Pick<Context, 'access' | 'body'>} context
   * @param {ChatFace['dialect']} dialect
   * @param {import('./request.js').Divided & {prompts?: (string | number[])[]}} asked
   * @returns {Promise<JobRecord[] | undefined>} undefined: the client has disconnected
   */
  async function submit(req, res, { access, body }, dialect, asked) {
    const path = PATHS[dialect];
    const { request, prompts = [undefined], includeUsage, passed } = asked;
    const key = idempotencyKeyOf(req);
    const submission = {
      ...{ access, passed, fingerprint: { path, body } },
      face: {
        dialect,
        model: request.model ?? null,
        ...(includeUsage && { include_usage: true }),
      },
      options: { on_disconnect: 'cancel', disconnect_grace_ms: RETRY_GRACE_MS, ...asked.options },
    };
    /** @type {JobRecord[]} */
    const records = [];
    /** @type {JobRecord[]} */
    const created = [];
    try {
      for (const [i, prompt] of prompts.entries()) {
        const submitted = await submitFaced(admission, req, res, {
          ...submission,
          request: prompt === undefined ? request : { ...request, prompt },
          idempotencyKey: i === 0 || key === undefined ? key : keyOfPrompt(key, i),
          near: records[0]?.handle,
        });
        if (submitted === undefined) {
          // Their reader has disconnected.
          if (records.length > 0) calls.join(res, records);
          return undefined;
        }
        records.push(submitted.record);
        if (!submitted.replayed) created.push(submitted.record);
      }
    } catch (/** @type {any} */ error) {
      // All prompts or none.
      for (const record of created) admission.takeBack(record, error);
      // A client that has received the refusal finds none of these jobs.
      await calls.hub.barrier();
      throw error;
    }
    records[0].peers = records.slice(1);
    return records;
  }

  /** @type {Handle} */
  const chat = (req, res, context) => serve(req, res, context, 'chat', divideChat(context.body));

  /** @type {Handle} */
  const completions = (req, res, context) =>
    serve(req, res, context, 'completions', divideCompletions(context.body));

  /** @type {Handle} */
  async function read(req, res, { params: { id = '' }, query, access: { principal } }) {
    const record = await directory.find(jobIdOf('chatcmpl-', id), principal);
    const face = faceOf(record, 'chat');
    if (record === undefined || face === undefined) throw completionNotFound(id);
    const stream = query.stream === 'true';
    const cursor = stream ? cursorOf(req, query) : '';
    if (!/^\d{0,15}$/.test(cursor)) {
      throw badRequest('invalid_value', 'Last-Event-ID', 'Last-Event-ID must be an integer.');
    }
    if (stream) calls.takePlace(res, record.principal);
    await answer(res, [record], {
      dialect: 'chat',
      stream,
      includeUsage: face.include_usage === true,
      after: Number(cursor),
      startedAt: performance.now(),
    });
  }

  const body = /** @type {const} */ ('exact-json');
  return {
    [PATHS.chat]: { POST: { handle: calls.withPlaces(chat), body, digest: true } },
    '/v1/chat/completions/:id': { GET: { handle: calls.withPlaces(read), head: false } },
    [PATHS.completions]: { POST: { handle: calls.withPlaces(completions), body, digest: true } },
  };
}

/**
 * Each prompt is a job with its own key, which never equals a caller's key.
 * @param {string} key of the request
 * @param {number} index of the prompt
 */
const keyOfPrompt = (key, index) => digestOf(`${index}\n${key}`);

/** @param {string} id */
function completionNotFound(id) {
  return new HttpError(404, {
    code: 'not_found',
    param: 'id',
    message: `No chat completion with the id ${JSON.stringify(id.slice(0, 100))}.`,
  });
}
