/** Selects the model of a job, and lists the models that a caller may use. Pure functions. */
import { HttpError } from '../../internal/util/http-error.js';
import { UNNAMED_MODEL } from '../../providers/shared/types.js';

/** @typedef {import('../policy/config.js').Access} Access */
/** @typedef {import('../../providers/shared/types.js').Provider} Provider */

/**
 * @param {Readonly<Access>} access
 * @param {string} model
 */
function mayUse({ models }, model) {
  return models === undefined || models.includes(model);
}

/**
 * @param {Provider} provider
 * @param {Readonly<Access>} access
 * @returns {{id: string}[]} the default first
 */
function modelsFor({ models }, access) {
  return models.filter(({ id }) => mayUse(access, id));
}

/**
 * The models for `/v1/models`.
 * @param {Provider} provider
 * @param {Readonly<Access>} access
 * @returns {Promise<import('../../providers/shared/types.js').ModelInfo[]>}
 */
export async function listModels(provider, access) {
  const all = await (provider.listModels?.() ??
    provider.models.map(({ id }) => ({ id, created: 0 })));
  return all.filter(({ id }) => mayUse(access, id));
}

/**
 * @param {Provider} provider
 * @param {Readonly<Access>} access
 * @param {string} [wanted] default: the first permitted model
 * @returns {string}
 * @throws {HttpError} 403 or 404
 */
export function chooseModel(provider, access, wanted) {
  const { models, takesAnyModel } = provider;
  const routes = provider.serves !== undefined;
  const open = takesAnyModel || routes || models.length === 0;
  const fallback = open ? (access.models?.[0] ?? UNNAMED_MODEL) : (models[0]?.id ?? '');
  const model = wanted ?? modelsFor(provider, access)[0]?.id ?? fallback;
  if (!mayUse(access, model)) {
    throw new HttpError(403, {
      code: 'model_not_allowed',
      param: 'model',
      message: 'This key may not use this model.',
    });
  }
  const isServed = routes
    ? provider.serves?.(model)
    : open || models.some(({ id }) => id === model);
  if (!isServed) throw modelNotFound();
  return model;
}

/** @returns {HttpError} */
export function modelNotFound() {
  return new HttpError(404, {
    code: 'model_not_found',
    param: 'model',
    message: 'No such model; GET /v1/models lists the models.',
  });
}
