/** `GET /v1/models`, in the shape that OpenAI's clients read. */
import { kInternals } from '../symbols.js';

/**
 * @param {import('../gateway.js').Gateway} gateway
 * @returns {import('express').RequestHandler}
 */
export function listModels(gateway) {
  const { provider } = gateway[kInternals].options;
  const data = provider.models.map(({ id }) => ({
    id,
    object: 'model',
    created: 0,
    owned_by: provider.name,
  }));
  return (_req, res) => {
    res.json({ object: 'list', data });
  };
}
