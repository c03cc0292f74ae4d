/** Holds and charges of jobs, for any location of the ledger. Pure functions. */
import { AMOUNT_MAX } from '../../primitives/ledger/events.js';
import { HttpError } from '../../internal/util/http-error.js';
import { accountOf, costOf, isFree } from '../../jobs/policy/prices.js';
import { estimatePromptTokens } from '../../jobs/prompt-tokens.js';
import { tokenLimitOf } from '../../jobs/checked-request.js';

/** @typedef {import('../../jobs/job.js').JobRecord} JobRecord */
/** @typedef {import('../../jobs/checked-request.js').CheckedRequest} CheckedRequest */
/** @typedef {import('../../jobs/policy/prices.js').Usage} Usage */
/** @typedef {import('../../jobs/policy/prices.js').Rates} Rates */
/** @typedef {import('../../jobs/policy/access-control.js').AccessControl} AccessControl */

/**
 * Billing data stored with a job, as plain JSON.
 * @typedef {object} Bill
 * @property {string} account
 * @property {number} [hold] id of the hold's event; absent if the amount was 0
 * @property {string} held
 * @property {{prompt: string, completion: string}} rates in 1e-9 micro-credits per token
 * @property {{prompt: string, completion: string}} [own] of a job in a deployment that shares an answer: rates of
 *   its own call
 */

/**
 * Usage and cost of an ended job.
 * @typedef {object} Settlement
 * @property {JobRecord} record a job, or a shared answer in place of the job that began it
 * @property {boolean} cached the job used another job's answer
 * @property {Usage} usage billable usage
 * @property {bigint} cost of that usage
 */

/**
 * In micro-credits: amounts charged, and costs that an account could not cover.
 * @typedef {{creditsCharged: {inc: (amount: number) => void},
 *   creditsUncollected: {inc: (amount: number) => void}}} BillingCounters
 */

/** A hold outlives its job's time limit by this, to allow for delivery of the terminal event. */
const HOLD_GRACE_MS = 60_000;
/** Maximum wait of a child job that a hold covers; after a longer wait it is charged without a hold. */
const PART_WAIT_MS = 3_600_000;

/** @param {bigint} a @param {bigint} b */
export const least = (a, b) => (a < b ? a : b);

/**
 * Billable usage of an ended job. None if the job never reached the model, failed before its first
 * token, or shared an answer and received no token of it.
 * @param {{attempts: number}} record that has ended
 * @param {{status: string, usage: Usage}} state its final one
 * @param {boolean} cached the job used another job's answer
 * @returns {Usage}
 */
export function usageOf({ attempts }, { status, usage }, cached) {
  const { prompt_tokens, completion_tokens } = usage;
  const came = completion_tokens > 0 || status === 'completed';
  const asked = came || (!cached && attempts > 0 && status !== 'failed');
  return asked ? { prompt_tokens, completion_tokens } : { prompt_tokens: 0, completion_tokens: 0 };
}

/**
 * @param {string} account
 * @param {bigint} needed
 * @param {bigint} available available amount, overdraft included
 */
export function insufficientCredit(account, needed, available) {
  const error = new HttpError(402, {
    code: 'insufficient_credit',
    type: 'billing_error',
    message:
      `The account ${account} has not enough credit: this request needs ${needed} micro-credits ` +
      `(prompt and max_tokens), and ${available} are available.`,
    // No Retry-After: a retry cannot succeed.
    headers: { 'x-should-retry': 'false' },
  });
  return Object.assign(error, { account, needed, available });
}

/**
 * @param {AccessControl} access
 * @param {CheckedRequest} request the original request
 * @param {string} model resolved
 * @returns {CheckedRequest} with a default `max_tokens` if its model is priced, so that its answer ends where its
 *   hold does
 */
export function boundedRequest(access, request, model) {
  const price = access.priceOf(model);
  if (price === undefined || price.full.completion === 0n) return request;
  if (tokenLimitOf(request) !== undefined) return request;
  return { ...request, max_tokens: access.defaultMaxTokens };
}

/**
 * @param {AccessControl} access
 * @param {Rates} rates
 * @param {CheckedRequest} request the original request
 * @returns {bigint} of its prompt's estimated tokens and `max_tokens`
 */
function maxCostOf({ defaultMaxTokens }, rates, request) {
  return costOf(rates, {
    prompt_tokens: estimatePromptTokens(request),
    completion_tokens: (request.n ?? 1) * (tokenLimitOf(request) ?? defaultMaxTokens),
  });
}

/**
 * @param {JobRecord} record
 * @param {{admissionWaitMs: number, maxWallMs: number}} options
 * @returns {number} time-out of its hold
 */
export function holdTimeoutMs({ part, request }, { admissionWaitMs, maxWallMs }) {
  const waitMs = part === undefined ? admissionWaitMs : PART_WAIT_MS;
  return waitMs + (request?.max_wall_ms ?? maxWallMs) + HOLD_GRACE_MS;
}

/**
 * @param {AccessControl} access
 * @param {string} account that is not open
 * @returns {bigint} its overdraft when it is opened; AMOUNT_MAX: no limit
 */
export function overdraftToBe(access, account) {
  const overdraft = access.overdraftOf(account);
  return typeof overdraft === 'boolean' ? (overdraft ? AMOUNT_MAX : 0n) : overdraft;
}

/**
 * @param {AccessControl} access
 * @param {object} job
 * @param {string} job.model resolved
 * @param {CheckedRequest} job.request the original request
 * @param {Readonly<import('../../jobs/policy/config.js').Access>} job.access of its caller
 * @param {boolean} job.cached it shares the answer of another job
 * @returns {Bill | undefined} the bill before the hold; undefined: free of charge
 */
export function newBill(access, { model, request, access: caller, cached }) {
  const price = access.priceOf(model);
  const rates = cached ? price?.cached : price?.full;
  if (rates === undefined || isFree(rates)) return undefined;
  const { prompt, completion } = rates;
  return {
    account: accountOf(caller),
    held: String(maxCostOf(access, rates, request)),
    rates: { prompt: String(prompt), completion: String(completion) },
  };
}

/**
 * Counts and logs the amount that an account could not cover.
 * @param {{metrics: BillingCounters, logger: import('../../internal/util/logger.js').Logger}} to
 * @param {{id: string, account: string, missing: bigint}} what `id` of the job
 */
export function reportUncollected({ metrics, logger }, { id, account, missing }) {
  metrics.creditsUncollected.inc(Number(missing));
  const fields = { job_id: id, account, micro_credits: String(missing) };
  logger.warn(fields, 'a job cost more than its account had');
}

/**
 * @param {Bill} bill
 * @param {boolean} cached the job used another job's answer
 */
export const ratesOf = ({ rates, own }, cached) => (cached ? rates : (own ?? rates));

/**
 * @param {Bill} bill
 * @param {Usage} usage
 * @param {boolean} cached the job used another job's answer
 * @returns {bigint} cost of the usage
 */
export function billedCost(bill, usage, cached) {
  const { prompt, completion } = ratesOf(bill, cached);
  return least(
    costOf({ prompt: BigInt(prompt), completion: BigInt(completion) }, usage),
    AMOUNT_MAX,
  );
}
