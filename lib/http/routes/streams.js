/**
 * `/v1/stream`: the events of one job, workflow or crawl. `/v1/events`: the events of up to 64 jobs
 * on one connection, because browsers allow six per origin over HTTP/1.1. `stream_url`: signed
 * URLs.
 *
 * The id of an event of `/v1/events` is a cursor over the set, `job_a:1-5,job_b:1-2`: the last
 * event seen of each job. A job that is not in it is replayed from its beginning.
 */
import { SseResponse } from '../sse/response.js';
import { sendRetry } from '../sse/head.js';
import { badRequest } from '../../internal/util/http-error.js';
import { unauthorized } from '../middleware/authenticate.js';
import { checkStreamUrlRequest, JOBS_PER_STREAM_MAX } from '../../jobs/request.js';
import { jobNotFound } from '../../jobs/errors.js';
import { sendJson, setUpstream } from '../respond.js';
import { operationKinds, operationNotFound } from '../../services/operations/operation.js';
import { whenReady } from '../../internal/util/when-ready.js';

/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('../router.js').Context} Context */
/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {{handle: number, purgeDueMs: number}} Logged */

/** The reconnection time under overload: long enough to reduce the load. */
const OVERLOAD_RETRY_MS = 15_000;

/** Members of the query that name an operation, and its kind. */
const OPERATION_IDS = operationKinds.map((kind) => /** @type {const} */ ([`${kind}_id`, kind]));

/** Names of the cursor in the query. Polyfills of EventSource use the second. */
const CURSOR_NAMES = ['last_event_id', 'lastEventId'];

/**
 * The client's cursor: the header, which EventSource sends by itself, before the query, which a page
 * uses after a reload. The log validates it.
 * @param {import('node:http').IncomingMessage} req
 * @param {Context['query']} query
 * @returns {string} empty for none
 */
export function cursorOf(req, query) {
  const header = req.headers['last-event-id'];
  if (typeof header === 'string' && header !== '') return header;
  const name = CURSOR_NAMES.find((each) => query[each] !== undefined);
  if (name === undefined) return '';
  const { [name]: cursor } = query;
  if (typeof cursor === 'string') return cursor;
  throw badRequest('invalid_type', name, `${name} takes one event id.`);
}

/**
 * Refuses a stream for overload.
 * @param {ServerResponse} res
 */
export function turnAway(res) {
  sendRetry(res, OVERLOAD_RETRY_MS);
}

/**
 * Splits a cursor over a set into the cursors of its jobs. A malformed part counts as the cursor of
 * all jobs without a part: they are replayed completely, after a gap.
 * @param {string} cursor
 * @returns {(id: string) => string}
 */
function parseSetCursor(cursor) {
  /** @type {Map<string, string>} */
  const cursors = new Map();
  let malformed = '';
  for (const part of cursor === '' ? [] : cursor.split(',')) {
    const colon = part.lastIndexOf(':');
    if (colon > 0) cursors.set(part.slice(0, colon), part.slice(colon + 1));
    else malformed = cursor;
  }
  return (id) => cursors.get(id) ?? malformed;
}

/**
 * @param {unknown} query
 * @returns {string[]} distinct ids
 */
function jobIds(query) {
  const ids = query === undefined ? [] : [query].flat();
  if (!ids.every((id) => typeof id === 'string')) {
    throw badRequest('invalid_type', 'job_id', 'job_id takes a job id, once per job.');
  }
  const distinct = [...new Set(/** @type {string[]} */ (ids))];
  if (distinct.length === 0) throw badRequest('missing_field', 'job_id', 'job_id is required.');
  if (distinct.length > JOBS_PER_STREAM_MAX) {
    const message = `job_id may be given ${JOBS_PER_STREAM_MAX} times at most.`;
    throw badRequest('invalid_value', 'job_id', message);
  }
  return distinct;
}

/**
 * @param {object} deps
 * @param {import('../../streams/hub.js').JobHub} deps.hub
 * @param {import('../../jobs/job-directory.js').JobDirectory} deps.directory
 * @param {import('../../services/operations/directory.js').OperationDirectory} deps.operations
 * @param {import('../../jobs/policy/signed-urls.js').StreamUrls} deps.streamUrls
 * @param {import('../sse/open-streams.js').OpenStreams} deps.open
 * @param {{egress: import('../sse/response.js').EgressMode, redis?: object}} deps.options
 * @returns {import('../router.js').Routes}
 */
export function streamRoutes({ hub, directory, operations, streamUrls, open, options }) {
  /**
   * @param {string} id
   * @param {string} principal
   * @param {string} [param] the field that names the job
   * @returns {JobRecord | Promise<JobRecord>} a promise if other processes may have the job
   */
  function jobOf(id, principal, param) {
    return whenReady(directory.find(id, principal), (record) => {
      if (record === undefined) throw jobNotFound(param);
      return record;
    });
  }

  /**
   * @param {Context} context
   * @returns {Logged | Promise<Logged>} the log that the query names
   */
  function logOf({ query, access: { principal } }) {
    for (const [name, kind] of OPERATION_IDS) {
      if (query[name] !== undefined) return operationOf(query, kind, principal);
    }
    const { job_id: id } = query;
    if (id === undefined) throw badRequest('missing_field', 'job_id', 'job_id is required.');
    if (typeof id !== 'string') {
      throw badRequest('invalid_type', 'job_id', 'job_id takes one job id; see /v1/events.');
    }
    return jobOf(id, principal);
  }

  /**
   * @param {Context['query']} query
   * @param {import('../../services/operations/operation.js').OperationKind} kind
   * @param {string} principal
   */
  async function operationOf(query, kind, principal) {
    const name = `${kind}_id`;
    const id = query[name];
    if (typeof id !== 'string' || query.job_id !== undefined) {
      throw badRequest('invalid_value', name, `${name} takes one id, and nothing beside it.`);
    }
    const operation = await operations.log(kind, id, principal);
    if (operation === undefined) throw operationNotFound(kind);
    return operation;
  }

  /**
   * @param {import('node:http').IncomingMessage} req
   * @param {import('../../jobs/policy/signed-urls.js').Log[]} logs that it is for
   * @throws {HttpError} 401 if its URL was not used in time
   */
  function checkFirstUse(req, logs) {
    if (logs.every((log) => streamUrls.use(req, log))) return;
    const message =
      'This stream_url was not used in time; POST /v1/jobs/{id}/stream_url gives a new one.';
    throw unauthorized('stream_url_expired', message);
  }

  /**
   * Connects a response to the hub and counts it among the open streams.
   * @param {ServerResponse} res
   * @param {string} principal
   * @param {import('../../streams/types.js').Member[]} members
   * @param {{fanIn?: boolean}} [streamOptions]
   */
  function connect(res, principal, members, streamOptions) {
    if (!open.hasRoom(principal)) {
      turnAway(res);
      return;
    }
    const onClosed = open.open(principal);
    const { egress: mode, redis } = options;
    const response = new SseResponse(res, { mode, moves: redis !== undefined, onClosed });
    response.connect(hub, members, streamOptions);
  }

  /** @type {Handle} */
  function stream(req, res, context) {
    const cursor = cursorOf(req, context.query);
    return whenReady(logOf(context), (log) => {
      checkFirstUse(req, [log]);
      setUpstream(res, /** @type {{upstream?: string}} */ (log));
      connect(res, context.access.principal, [{ handle: log.handle, cursor }]);
    });
  }

  /** @type {Handle} */
  async function events(req, res, { query, access: { principal } }) {
    const cursors = parseSetCursor(cursorOf(req, query));
    const records = await Promise.all(jobIds(query.job_id).map((id) => jobOf(id, principal)));
    checkFirstUse(req, records);
    const members = records.map(({ id, handle }) => ({ handle, jobId: id, cursor: cursors(id) }));
    connect(res, principal, members, { fanIn: true });
  }

  /**
   * @param {ServerResponse} res
   * @param {Context} context
   * @param {import('../../jobs/job.js').JobRecord[]} records of jobs of the caller
   * @param {{fanIn?: boolean}} [streamOptions]
   */
  function sendUrl(res, { baseUrl, access: { principal } }, records, streamOptions) {
    const ids = records.map(({ id }) => id);
    sendJson(res, 200, {
      stream_url: baseUrl + streamUrls.make(principal, ids, streamOptions),
      expires_at: streamUrls.expiryOf(records),
    });
  }

  /** @type {Handle} */
  async function signOne(_req, res, context) {
    const { id = '' } = context.params;
    sendUrl(res, context, [await jobOf(id, context.access.principal)]);
  }

  /** @type {Handle} */
  async function signMany(_req, res, context) {
    const ids = checkStreamUrlRequest(context.body);
    const { principal } = context.access;
    const records = await Promise.all(ids.map((id, i) => jobOf(id, principal, `job_ids[${i}]`)));
    sendUrl(res, context, records, { fanIn: true });
  }

  return {
    '/v1/stream': { GET: { handle: stream, auth: 'stream', head: false } },
    '/v1/events': { GET: { handle: events, auth: 'stream', head: false } },
    '/v1/stream_url': { POST: { handle: signMany, body: 'json' } },
    '/v1/jobs/:id/stream_url': { POST: { handle: signOne } },
  };
}
