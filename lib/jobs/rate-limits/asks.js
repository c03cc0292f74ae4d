/** The amounts that work needs from each limit. Pure functions. */
import { dimensions } from './limit-table.js';
import { estimatePromptTokens } from '../prompt-tokens.js';
import { tokenLimitOf } from '../checked-request.js';

/** @typedef {import('../policy/access-control.js').Budget} Budget */
/** @typedef {import('../checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('./limit-table.js').DimensionName} DimensionName */

/**
 * Costs by limit; other limits are not consumed.
 * @typedef {Partial<Record<DimensionName, (limit: number, budget: Budget) => number>>} Costs
 */

/** @typedef {{dimension: DimensionName, limit: number, cost: number, budget: Budget}} Ask */

const none = () => 0;
const one = () => 1;
/** Costs of work without a reservation. */
const WHOLE = Object.freeze({ requests: one, concurrent_jobs: one });
/** Costs of a query of the remaining amounts. @type {Costs} */
export const NOTHING = Object.freeze({ requests: none, tokens: none, concurrent_jobs: none });

/** Largest share of a limit reserved for an answer without `max_tokens`. */
const UNSAID_SHARE = 1 / 4;

/**
 * Tokens that a request reserves from one budget. With a small limit, a request without
 * `max_tokens` must neither be refused for ever nor take the whole limit.
 * @param {CheckedRequest} request
 * @param {number} limit
 * @param {number} defaultMaxTokens
 */
export function tokensOf(request, limit, defaultMaxTokens) {
  const prompt = estimatePromptTokens(request);
  const answers = request.n ?? 1;
  const answerMax = tokenLimitOf(request);
  if (answerMax !== undefined) return prompt + answers * answerMax;
  const answer = Math.min(answers * defaultMaxTokens, Math.ceil(limit * UNSAID_SHARE));
  return Math.min(prompt + answer, Math.max(limit, prompt));
}

/**
 * @param {CheckedRequest} request
 * @param {object} options
 * @param {boolean} options.tokens whether it reserves the tokens of its answer
 * @param {number} options.defaultMaxTokens
 * @param {{request: boolean, place: boolean}} [options.covered] amounts reserved by its operation; limits of a model
 *   are never covered
 * @returns {Costs} costs of a job
 */
export function costsOfJob(request, { tokens, defaultMaxTokens, covered }) {
  const { requests, concurrent_jobs } = costsOfWork(covered);
  const ofTokens = (/** @type {number} */ limit) =>
    tokens ? tokensOf(request, limit, defaultMaxTokens) : 0;
  return { requests, concurrent_jobs, tokens: ofTokens };
}

/**
 * @param {{request: boolean, place: boolean}} [covered]
 * @returns {Costs} costs of work without its own tokens
 */
export function costsOfWork(covered) {
  if (covered === undefined) return WHOLE;
  return {
    requests: (_limit, { scope }) => (covered.request && scope !== 'model' ? 0 : 1),
    concurrent_jobs: (_limit, { scope }) => (covered.place && scope !== 'model' ? 0 : 1),
  };
}

/**
 * @param {readonly Budget[]} budgets
 * @param {Costs} costs
 * @returns {Ask[]} in the order of headers; empty: no limit applies
 */
export function asksOf(budgets, costs) {
  /** @type {Ask[]} */
  const asks = [];
  for (const budget of budgets) {
    for (const [name, dimension] of dimensions) {
      const limit = budget.limits[name];
      const cost = costs[dimension];
      if (limit === undefined || cost === undefined) continue;
      asks.push({ dimension, limit, cost: cost(limit, budget), budget });
    }
  }
  return asks;
}
