/**
 * `GET /v1/events?job_id=a&job_id=b`: many jobs on one connection.
 *
 * Browsers allow six connections per origin over HTTP/1.1, so a page with many jobs shares one.
 * Every event's id is a cursor over the whole set: `job_a:1-5,job_b:1-2`, each job at the event it
 * was last seen at. A job that is not in it has not been seen.
 */
import { cursorOf, openStream, turnedAway } from './stream.js';
import { badRequest } from '../../internal/util/http-error.js';
import { jobNotFound } from '../../jobs/errors.js';
import { kInternals } from '../../internal/util/symbols.js';
import { kJobsPerStreamMax } from '../../jobs/request.js';
import { principalOf } from '../middleware/authenticate.js';

/**
 * Splits a cursor over a set into the cursors of its jobs. What does not have the form counts as a
 * cursor of every job that is not named otherwise: those replay all, after a gap.
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
  if (distinct.length > kJobsPerStreamMax) {
    const message = `job_id may be given ${kJobsPerStreamMax} times at most.`;
    throw badRequest('invalid_value', 'job_id', message);
  }
  return distinct;
}

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function eventsRoute(gateway) {
  return (req, res) => {
    const { jobs } = gateway[kInternals];
    const cursors = parseSetCursor(cursorOf(req));
    const members = jobIds(req.query.job_id).map((id) => {
      const record = jobs.get(id, principalOf(req));
      if (record === undefined) throw jobNotFound();
      return { handle: record.handle, cursor: cursors(id) };
    });
    if (turnedAway(gateway, res)) return;
    openStream(gateway, res, members, { fanIn: true });
  };
}
