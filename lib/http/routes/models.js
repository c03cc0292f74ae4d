/** `GET /v1/models`, in the shape that OpenAI's clients read: those that the caller may use. */
import { accessOf } from '../middleware/authenticate.js';
import { kInternals } from '../../internal/util/symbols.js';
import { modelsFor } from '../../jobs/admission/model-selection.js';

/**
 * @param {import('../../gateway/gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function listModels(gateway) {
  const { provider } = gateway[kInternals].options;
  return (req, res) => {
    const data = modelsFor(provider, accessOf(req)).map(({ id }) => ({
      id,
      object: 'model',
      created: 0,
      owned_by: provider.name,
    }));
    res.json({ object: 'list', data });
  };
}
