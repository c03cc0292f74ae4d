/** `/v1/models`: the models that the caller may use, in OpenAI's shape. */
import { listModels, modelNotFound } from '../../jobs/admission/model-selection.js';
import { sendJson } from '../respond.js';

/**
 * @param {{provider: import('../../providers/shared/types.js').Provider}} deps
 * @returns {import('../router.js').Routes}
 */
export function modelRoutes({ provider }) {
  /** @param {import('../../providers/shared/types.js').ModelInfo} model */
  function toJson({ id, created, ownedBy = provider.name }) {
    return { id, object: 'model', created, owned_by: ownedBy };
  }

  /** @type {import('../router.js').Handle} */
  async function list(_req, res, { access }) {
    const models = await listModels(provider, access);
    sendJson(res, 200, { object: 'list', data: models.map(toJson) });
  }

  /** @type {import('../router.js').Handle} */
  async function read(req, res, context) {
    // Many model names have slashes, which clients may encode.
    const { '*': id = '' } = context.params;
    if (id === '') {
      await list(req, res, context);
      return;
    }
    const models = await listModels(provider, context.access);
    const found = models.find((model) => model.id === id);
    if (found === undefined) throw modelNotFound();
    sendJson(res, 200, toJson(found));
  }

  return { '/v1/models': { GET: { handle: list } }, '/v1/models/*': { GET: { handle: read } } };
}
