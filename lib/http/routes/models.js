/** `GET /v1/models`: the models that the caller may use, in OpenAI's shape. */
import { modelsFor } from '../../jobs/admission/model-selection.js';
import { sendJson } from '../respond.js';

/**
 * @param {{provider: import('../../providers/shared/types.js').Provider}} deps
 * @returns {import('../router.js').Routes}
 */
export function modelRoutes({ provider }) {
  /** @type {import('../router.js').Handle} */
  function list(_req, res, { access }) {
    const data = modelsFor(provider, access).map(({ id }) => ({
      id,
      object: 'model',
      created: 0,
      owned_by: provider.name,
    }));
    sendJson(res, 200, { object: 'list', data });
  }

  return { '/v1/models': { GET: { handle: list } } };
}
