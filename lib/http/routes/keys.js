/** `/v1/keys`: lists, creates, changes, rotates, disables and deletes keys. For administrators. */
import { badRequest } from '../../internal/util/http-error.js';
import { sendJson, sendNoContent } from '../respond.js';

/** @typedef {import('../router.js').Handle} Handle */
/** @typedef {import('../../jobs/policy/config.js').KeyInfo} KeyInfo */

const LIMIT_MAX = 1000;
/** Members of a change that are listed in the audit log. */
const MEMBERS_MAX = 16;

/**
 * @param {KeyInfo & {key?: string}} info
 * @returns {object} the body of an answer
 */
function keyToJson({ id, key, disabled = false, admin = false, fingerprints, ...rest }) {
  return { id, ...(key !== undefined && { key }), disabled, admin, fingerprints, ...rest };
}

/**
 * @param {import('../router.js').Context['query']} query
 * @returns {{limit?: number, after?: string}}
 */
function pageOf({ limit, after }) {
  const number = limit === undefined ? undefined : Number(limit);
  if (number !== undefined && !(Number.isInteger(number) && number >= 1 && number <= LIMIT_MAX)) {
    throw badRequest('invalid_value', 'limit', `limit must be an integer from 1 to ${LIMIT_MAX}.`);
  }
  if (after !== undefined && typeof after !== 'string') {
    throw badRequest('invalid_value', 'after', 'after must be the id of a key.');
  }
  return { limit: number, after };
}

/**
 * @param {{keys: import('../../services/keys/service.js').Keys}} deps
 * @returns {import('../router.js').Routes}
 */
export function keyRoutes({ keys }) {
  /** @type {Handle} */
  function list(_req, res, { query }) {
    const { data, hasMore } = keys.list(pageOf(query));
    const { writable, required } = keys;
    sendJson(res, 200, { data: data.map(keyToJson), has_more: hasMore, writable, required });
  }

  /** @type {Handle} */
  async function create(_req, res, { body = {}, baseUrl, note }) {
    // The audit entry of a refused request also names the key.
    if (typeof Object(body).id === 'string') note({ target: body.id });
    const made = await keys.create(body);
    note({ target: made.id, details: { admin: made.admin === true } });
    res.setHeader('Location', `${baseUrl}/v1/keys/${encodeURIComponent(made.id)}`);
    sendJson(res, 201, keyToJson(made));
  }

  /** @type {Handle} */
  async function update(_req, res, { params: { id = '' }, body, note }) {
    note({ details: { members: Object.keys(Object(body)).slice(0, MEMBERS_MAX).join(', ') } });
    sendJson(res, 200, keyToJson(await keys.update(id, body)));
  }

  /** @type {Handle} */
  async function rotate(_req, res, { params: { id = '' }, body }) {
    sendJson(res, 200, keyToJson(await keys.rotate(id, body)));
  }

  /** @type {Handle} */
  async function retire(_req, res, { params: { id = '' } }) {
    sendJson(res, 200, keyToJson(await keys.retire(id)));
  }

  /** @param {boolean} disabled @returns {Handle} */
  const setDisabled =
    (disabled) =>
    async (_req, res, { params: { id = '' } }) => {
      sendJson(res, 200, keyToJson(await keys.setDisabled(id, disabled)));
    };

  /** @type {Handle} */
  async function remove(_req, res, { params: { id = '' } }) {
    await keys.delete(id);
    sendNoContent(res);
  }

  /** @type {(action: string, handle: Handle) => import('../router.js').Endpoint} */
  const audited = (action, handle) => ({ handle, auth: 'admin', audit: { action } });
  return {
    '/v1/keys': {
      GET: { handle: list, auth: 'admin' },
      POST: { ...audited('key.create', create), body: 'optional-json' },
    },
    '/v1/keys/:id': {
      PATCH: { ...audited('key.update', update), body: 'json' },
      DELETE: audited('key.delete', remove),
    },
    '/v1/keys/:id/rotate': { POST: { ...audited('key.rotate', rotate), body: 'optional-json' } },
    '/v1/keys/:id/retire': { POST: audited('key.retire', retire) },
    '/v1/keys/:id/disable': { POST: audited('key.disable', setDisabled(true)) },
    '/v1/keys/:id/enable': { POST: audited('key.enable', setDisabled(false)) },
  };
}
