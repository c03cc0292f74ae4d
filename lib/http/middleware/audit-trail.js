/** Records the requests of endpoints with `audit` in the audit log. */
import { toHttpError } from '../error-handler.js';

/**
 * @typedef {object} AuditSpec
 * @property {string} action for example `job.cancel`
 * @property {boolean} [erases] whether it erases its target; default false
 */

/** @typedef {import('../../services/audit/entries.js').AuditTrail['note']} Note */

/** The `note` of unrecorded endpoints. @type {Note} */
export const NOT_RECORDED = () => {};

/** @param {Record<string, string | undefined>} params of the path */
const targetOf = ({ id, '*': rest }) => id ?? rest ?? null;

/**
 * Runs an endpoint, and records its outcome.
 * @param {import('../../services/audit/entries.js').AuditPort} audit
 * @param {AuditSpec} spec
 * @param {object} request
 * @param {import('node:http').ServerResponse} request.res with an `x-request-id`
 * @param {string} request.principal
 * @param {Record<string, string | undefined>} request.params
 * @param {(note: Note) => Promise<void>} run
 */
export async function recorded(audit, spec, { res, principal, params }, run) {
  const requestId = String(res.getHeader('x-request-id'));
  const target = targetOf(params);
  const trail = audit.begin({ ...spec, actor: principal, target, requestId });
  try {
    await run((fields) => trail.note(fields));
  } catch (error) {
    const { status, wireCode: code } = toHttpError(error);
    trail.end({ status, code });
    throw error;
  }
  // No answer: the client disconnected before its request was complete, so it had no effect.
  trail.end(res.headersSent ? { status: res.statusCode } : { code: 'client_left' });
}
