/**
 * `/v1/ui/chat`, for the AI SDK's `useChat`: each chat has one job at a time, which a reload
 * resumes and `stop` ends.
 */
import { CURSOR, earlierFrames } from './earlier-steps.js';
import { ChatTurns } from './chats.js';
import { digestOf } from '../../middleware/body.js';
import { badRequest } from '../../../internal/util/http-error.js';
import { cursorOf } from '../../routes/streams.js';
import { faceOf, tailOf } from '../ids.js';
import { readUiRequest } from './request.js';
import { sendJson, sendNoContent } from '../../respond.js';
import { ready, setFaceHeaders, submitFaced } from '../submit.js';
import { stringifyExact } from '../../../internal/util/exact-json.js';

/** @typedef {import('../../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../router.js').Handle} Handle */
/** @typedef {import('./chats.js').UiFace} UiFace */
/** @typedef {import('node:http').ServerResponse} ServerResponse */

/** Time for a reload to resume; after a tab is closed, the job stops after this time. */
const GRACE_MS = 30_000;
const PATH = '/v1/ui/chat';
/** The cursor of a page that sends a request: it has the earlier steps of the message, but no frame. */
const SENDER = '0';

/**
 * @param {object} deps
 * @param {import('../../../jobs/admission/admission.js').Admission} deps.admission
 * @param {import('../../../jobs/job-directory.js').JobDirectory} deps.directory
 * @param {import('./chats.js').ChatsPort} deps.chats
 * @param {import('../calls.js').FaceCalls} deps.calls
 * @returns {import('../../router.js').Routes}
 */
export function uiRoutes({ admission, directory, chats, calls }) {
  const turns = new ChatTurns();

  /**
   * Streams the answer of a chat's job.
   * @param {ServerResponse} res
   * @param {JobRecord} record
   * @param {number} startedAt by `performance.now()`
   * @param {string} cursor id of the last frame that the client has; empty: send the whole message
   */
  async function answer(res, record, startedAt, cursor) {
    const face = /** @type {UiFace} */ (faceOf(record, 'ui'));
    const call = calls.join(res, [record], undefined, (complete) => {
      if (complete) void chats.setDelivered(record);
    });
    const present = await ready(call, true, () => setFaceHeaders(res, startedAt, record));
    if (present === undefined) return;
    res.setHeader('x-vercel-ai-ui-message-stream', 'v1');
    const tail = tailOf(record);
    call.stream({
      ...{ dialect: 'ui', id: face.message_id ?? `msg_${tail}`, tail },
      after: Math.floor(Number(cursor)),
      envelope: earlierFrames(face.earlier ?? [], cursor),
      model: face.model ?? record.model,
      created: Math.floor(record.createdAtMs / 1000),
    });
  }

  /**
   * The job of a request: the chat's current one if its body is equal, else a new one.
   * @param {import('node:http').IncomingMessage} req
   * @param {ServerResponse} res
   * @param {import('../../router.js').Context} context
   * @returns {Promise<JobRecord | undefined>} undefined: the client has disconnected
   */
  async function jobOf(req, res, { access, body }) {
    const { principal } = access;
    const { chat, messageId, earlier, request, passed, options } = readUiRequest(body);
    const text = digestOf(stringifyExact(body));
    const current = await chats.get(principal, chat);
    if (current?.record.ended === false) await directory.settled(current.record);
    if (current?.record.ended === false && current.body === text) {
      res.setHeader('Idempotency-Replayed', 'true');
      return current.record;
    }
    if (res.destroyed) return undefined;
    const face = {
      ...{ dialect: 'ui', chat, model: request.model ?? null, message_id: messageId },
      ...(earlier !== undefined && { earlier }),
    };
    const submission = {
      ...{ access, face, request, passed, fingerprint: { path: PATH, body } },
      options: { on_disconnect: 'cancel', disconnect_grace_ms: GRACE_MS, ...options },
    };
    const submit = () => submitFaced(admission, req, res, submission);
    const submitted = await submit().catch(async (error) => {
      if (current === undefined || current.record.ended || !isPlaceTaken(error)) throw error;
      // The chat's current job may occupy the place.
      await end(current.record, 'superseded');
      return submit();
    });
    const record = submitted?.record;
    // A known key always gets the answer of its job, even after the chat has continued.
    if (record === undefined || submitted?.replayed) return record;
    return settle(res, record, { chat, text, current: current?.record });
  }

  /**
   * Sets the chat's job. A previous one that is still running has lost its reader.
   * @param {ServerResponse} res
   * @param {JobRecord} record
   * @param {{chat: string, text: string, current: JobRecord | undefined}} turn
   * @returns {Promise<JobRecord>} the chat's job; possibly that of an equal request that another process
   *   received at the same time
   */
  async function settle(res, record, { chat, text, current }) {
    const other = await chats.set(record, chat, text, current);
    if (other === undefined) {
      if (current !== undefined) await directory.cancel(current, 'superseded');
      return record;
    }
    if (other.body !== text || other.record.ended) {
      return settle(res, record, { chat, text, current: other.record });
    }
    res.setHeader('Idempotency-Replayed', 'true');
    await directory.cancel(record, 'superseded');
    return other.record;
  }

  /**
   * @param {JobRecord} record
   * @param {'client_request' | 'superseded'} reason
   */
  async function end(record, reason) {
    await directory.cancel(record, reason);
    // The state is available once the ending is in the data file.
    await calls.hub.snapshot(record.handle, { text: false });
    await calls.hub.barrier();
  }

  /** @type {Handle} */
  async function create(req, res, context) {
    const startedAt = performance.now();
    const { principal } = context.access;
    const { chat } = readUiRequest(context.body);
    calls.takePlace(res, principal);
    const record = await turns.alone(principal, chat, () => jobOf(req, res, context));
    if (record !== undefined) await answer(res, record, startedAt, SENDER);
  }

  /** @type {Handle} */
  async function resume(req, res, { params: { id = '' }, query, access: { principal } }) {
    const startedAt = performance.now();
    const cursor = cursorOf(req, query);
    if (!CURSOR.test(cursor)) {
      const message = 'Last-Event-ID must be the id of a frame.';
      throw badRequest('invalid_value', 'Last-Event-ID', message);
    }
    const current = await chats.get(principal, id);
    const record = current?.record;
    // A cursor shows that the reader has not received the end, although it was sent.
    const isRead = cursor === '' && current?.delivered === true;
    if (record === undefined || isRead || isStopped(record)) {
      sendNoContent(res);
      return;
    }
    calls.takePlace(res, principal);
    await answer(res, record, startedAt, cursor);
  }

  /** @type {Handle} */
  async function stop(_req, res, { params: { id = '' }, access: { principal } }) {
    const record = (await chats.get(principal, id))?.record;
    if (record?.ended === false) await directory.settled(record);
    const ran = record?.ended === false;
    if (ran) await end(record, 'client_request');
    const stopped = ran && (record.final === undefined || isStopped(record));
    sendJson(res, 200, { stopped, job_id: record?.id ?? null });
  }

  return {
    [PATH]: { POST: { handle: calls.withPlaces(create), body: 'exact-json' } },
    '/v1/ui/chat/:id/stream': { GET: { handle: calls.withPlaces(resume), head: false } },
    '/v1/ui/chat/:id/stop': { POST: { handle: stop, audit: { action: 'chat.stop' } } },
  };
}

/** @param {any} error of a submission @returns {boolean} whether only running jobs are the cause */
const isPlaceTaken = ({ refusedBy = [] }) =>
  refusedBy.length > 0 &&
  refusedBy.every((/** @type {{limit: string}} */ { limit }) => limit === 'concurrent_jobs');

/** @param {JobRecord} record */
const isStopped = ({ final }) =>
  final?.status === 'cancelled' && ['client_request', 'superseded'].includes(final.reason);
