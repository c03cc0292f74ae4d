/**
 * `GET /v1/stream?job_id=`: one job's events, resumable by `Last-Event-ID`. With `workflow_id=` or
 * `crawl_id=`: those of a work.
 */
import { ResponseEgress, writeStreamHead } from '../sse/response.js';
import { badRequest } from '../../internal/util/http-error.js';
import { jobNotFound } from '../../jobs/errors.js';
import { workKinds, workNotFound } from '../../services/operations/operations.js';
import { kInternals } from '../../internal/util/symbols.js';
import { principalOf } from '../middleware/authenticate.js';

/** What a turned-away EventSource is told to wait: long enough for the load to pass. */
const kOverloadRetryMs = 15_000;

/**
 * The client's cursor: the header, which EventSource sends by itself, before the query, by which a
 * page resumes after a reload. Anything at all is let through: the log decides what it means.
 * @param {import('express').Request} req
 * @returns {string} empty for none
 */
export function cursorOf(req) {
  const header = req.headers['last-event-id'];
  if (typeof header === 'string' && header !== '') return header;
  const { last_event_id: query } = req.query;
  if (query === undefined) return '';
  if (typeof query === 'string') return query;
  throw badRequest('invalid_type', 'last_event_id', 'last_event_id takes one event id.');
}

/**
 * Too many streams: 200 and a longer reconnection time, because an EventSource takes every other
 * status for a final answer.
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @param {import('express').Response} res
 * @returns {boolean} whether the request has been answered
 */
export function turnedAway(gateway, res) {
  if (gateway[kInternals].streams.hasRoom(principalOf(res.req))) return false;
  turnAway(res);
  return true;
}

/** @param {import('express').Response} res */
export function turnAway(res) {
  writeStreamHead(res);
  res.end(`retry: ${kOverloadRetryMs}\n\n`);
}

/**
 * Connects a response to the hub and counts it among the open streams.
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @param {import('express').Response} res
 * @param {import('../../streams/hub-channel.js').Member[]} members
 * @param {{fanIn?: boolean}} [options]
 */
export function openStream(gateway, res, members, options) {
  const {
    hub,
    streams,
    options: { egress },
  } = gateway[kInternals];
  // Express's way on from here: a response that lasts for minutes has no use for it, and it holds
  // a tenth of all that a stream costs in JavaScript.
  res.req.next = undefined;
  const onClosed = streams.open(principalOf(res.req));
  new ResponseEgress(res, { mode: egress, onClosed }).connect(hub, members, options);
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function streamRoute(gateway) {
  return (req, res) => {
    const cursor = cursorOf(req);
    const kind = workKinds.find((each) => req.query[`${each}_id`] !== undefined);
    const handle = kind === undefined ? jobOf(req) : workOf(req, kind);
    if (turnedAway(gateway, res)) return;
    openStream(gateway, res, [{ handle, cursor }]);
  };

  /** @param {import('express').Request} req */
  function jobOf(req) {
    const { job_id: id } = req.query;
    if (id === undefined) throw badRequest('missing_field', 'job_id', 'job_id is required.');
    if (typeof id !== 'string') {
      throw badRequest('invalid_type', 'job_id', 'job_id takes one job id; see /v1/events.');
    }
    const record = gateway[kInternals].jobs.get(id, principalOf(req));
    if (record === undefined) throw jobNotFound();
    return record.handle;
  }

  /**
   * @param {import('express').Request} req
   * @param {import('../../services/operations/operations.js').WorkKind} kind
   */
  function workOf(req, kind) {
    const name = `${kind}_id`;
    const id = req.query[name];
    if (typeof id !== 'string' || req.query.job_id !== undefined) {
      throw badRequest('invalid_value', name, `${name} takes one id, and nothing beside it.`);
    }
    const work = gateway[kInternals].works.find(kind, id, principalOf(req));
    if (work === undefined) throw workNotFound(kind);
    return work.handle;
  }
}
