/** `/v1/audit`: records of cancellations, deletions, changes of keys and transfers. For administrators. */
import { AUDIT_ID, AUDIT_OUTCOMES } from '../../services/audit/entries.js';
import { badRequest } from '../../internal/util/http-error.js';
import { checkListQuery } from '../../jobs/request.js';
import { checkTimeRange } from './credits-requests.js';
import { sendJson } from '../respond.js';

/** @typedef {import('../router.js').Context['query']} Query */

const NAMES = /** @type {const} */ (['actor', 'action', 'target']);
const KNOWN = new Set(['limit', 'after', 'from', 'to', 'outcome', ...NAMES]);

/**
 * @param {import('../../services/audit/entries.js').AuditEntry} entry
 * @returns {object} the body of an answer
 */
function auditToJson({ atMs, requestId, status, code, details, ...rest }) {
  return {
    ...rest,
    created_at: atMs / 1000,
    status: status ?? null,
    code: code ?? null,
    request_id: requestId ?? null,
    details: details ?? {},
  };
}

/**
 * @param {Query} query
 * @returns {import('../../services/audit/entries.js').AuditQuery}
 */
function checkAuditQuery(query) {
  const unknown = Object.keys(query).find((name) => !KNOWN.has(name));
  if (unknown !== undefined) {
    throw badRequest('unknown_field', unknown, `${unknown} is not a filter of the audit log.`);
  }
  const { limit, after, outcome } = query;
  const page = checkListQuery({ ...(limit !== undefined && { limit }) });
  if (after !== undefined && !AUDIT_ID.test(String(after))) {
    throw badRequest('invalid_value', 'after', 'after must be the id of an entry.');
  }
  if (outcome !== undefined && !AUDIT_OUTCOMES.includes(/** @type {any} */ (outcome))) {
    const message = `outcome must be one of ${AUDIT_OUTCOMES.join(', ')}.`;
    throw badRequest('invalid_value', 'outcome', message);
  }
  for (const name of NAMES) {
    const value = query[name];
    if (value !== undefined && (typeof value !== 'string' || value === '')) {
      throw badRequest('invalid_value', name, `${name} must be one text.`);
    }
  }
  const { actor, action, target } = /** @type {Record<string, string>} */ (query);
  return /** @type {import('../../services/audit/entries.js').AuditQuery} */ ({
    ...{ limit: page.limit, after, outcome, actor, action, target },
    ...checkTimeRange(query),
  });
}

/**
 * @param {{audit: import('../../services/audit/entries.js').AuditPort}} deps
 * @returns {import('../router.js').Routes}
 */
export function auditRoutes({ audit }) {
  /** @type {import('../router.js').Handle} */
  async function list(_req, res, { query }) {
    const { data, hasMore } = await audit.list(checkAuditQuery(query));
    sendJson(res, 200, { data: data.map(auditToJson), has_more: hasMore });
  }

  return { '/v1/audit': { GET: { handle: list, auth: 'admin' } } };
}
