/** Checks the bodies of `POST /v1/embeddings`. Pure functions. */
import { badRequest } from '../../internal/util/http-error.js';
import { checkContents, isTokens, schemaRefusal } from '../../jobs/request.js';
import { CALL_INPUTS_MAX } from './gatherer.js';
import { schemaCheck } from '../../internal/util/request-schema.js';

/**
 * @typedef {object} EmbeddingRequest
 * @property {string} [model]
 * @property {import('./gatherer.js').EmbeddingInput[]} inputs
 * @property {'float' | 'base64'} encoding
 * @property {string} [user]
 * @property {Record<string, unknown>} passed further members
 */

const check = schemaCheck({
  type: 'object',
  required: ['input'],
  properties: {
    model: { type: ['string', 'null'], minLength: 1, maxLength: 256 },
    input: { type: ['string', 'array'], minLength: 1, minItems: 1 },
    encoding_format: { type: ['string', 'null'], enum: ['float', 'base64', null] },
    user: { type: ['string', 'null'] },
    sluice: { type: ['object', 'null'] },
  },
});

/**
 * @param {unknown} body
 * @returns {EmbeddingRequest}
 * @throws {import('../../internal/util/http-error.js').HttpError} 400, naming the member
 */
export function readEmbeddingRequest(body) {
  if (!check(body)) throw schemaRefusal(/** @type {any} */ (check.errors)[0]);
  // Options of jobs, refused here.
  const { sluice: _options, ...own } = /** @type {any} */ (body);
  const { model, input, encoding_format: encoding, user, ...passed } = own;
  const inputs = typeof input === 'string' || isTokens(input) ? [input] : input;
  if (inputs.length > CALL_INPUTS_MAX) {
    const message = `input has at most ${CALL_INPUTS_MAX} inputs.`;
    throw badRequest('invalid_value', 'input', message);
  }
  // Tokens are checked below, and may be millions.
  checkContents({
    input: inputs.filter((/** @type {unknown} */ each) => !isTokens(each)),
    ...passed,
  });
  const kind = typeof inputs[0];
  inputs.forEach((/** @type {unknown} */ each, /** @type {number} */ i) => {
    const valid = typeof each === 'string' ? each !== '' : isTokens(each);
    if (valid && typeof each === kind) return;
    const at = `input[${i}]`;
    const says = 'must be a string that is not empty, or tokens, as all others';
    throw badRequest('invalid_value', at, `${at} ${says}.`);
  });
  return {
    ...{ model: model ?? undefined, inputs, user: user ?? undefined },
    ...{ encoding: encoding ?? 'float', passed },
  };
}
