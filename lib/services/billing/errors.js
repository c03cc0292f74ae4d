/** Maps refusals of the ledger to HTTP errors. Pure functions. */
import { HttpError } from '../../internal/util/http-error.js';

/** The same answer for an unknown account and for another principal's. */
export function accountNotFound() {
  return new HttpError(404, {
    code: 'account_not_found',
    param: 'account_id',
    message: 'There is no such account.',
  });
}

export function transferNotFound() {
  return new HttpError(404, {
    code: 'transfer_not_found',
    param: 'transfer_id',
    message: 'There is no such transfer.',
  });
}

/**
 * A job's paying account is closed.
 * @param {string} account
 */
export function payerClosed(account) {
  return new HttpError(402, {
    code: 'account_closed',
    type: 'billing_error',
    message: `The account ${account}, which pays for this request, is closed.`,
    headers: { 'x-should-retry': 'false' },
  });
}

/**
 * HTTP errors by ledger error code.
 * @type {Record<string, (error: any) => ConstructorParameters<typeof HttpError>>}
 */
const REFUSALS = {
  ERR_INSUFFICIENT_FUNDS: ({ available }) => [
    402,
    {
      code: 'insufficient_credit',
      type: 'billing_error',
      message: `The account that would pay has not enough credit: ${available} micro-credits are available.`,
      headers: { 'x-should-retry': 'false' },
    },
  ],
  ERR_NO_SUCH_ACCOUNT: () => [
    404,
    { code: 'account_not_found', message: 'There is no such account.' },
  ],
  ERR_NO_SUCH_EVENT: () => [
    404,
    { code: 'transfer_not_found', param: 'transfer_id', message: 'There is no such transfer.' },
  ],
  ERR_ALREADY_REVERSED: () => [
    409,
    { code: 'already_reversed', message: 'It was reversed before.' },
  ],
  ERR_NOT_REVERSIBLE: () => [
    409,
    {
      code: 'not_reversible',
      message: 'Only deposits, withdrawals, transfers and settlements can be reversed.',
    },
  ],
  ERR_ACCOUNT_CLOSED: () => [
    409,
    { code: 'account_closed', message: 'An account of this request is closed.' },
  ],
  ERR_ACCOUNT_NOT_EMPTY: () => [
    409,
    {
      code: 'account_not_empty',
      message: 'The account has a balance, or an amount of it is held.',
    },
  ],
  ERR_SAME_ACCOUNT: () => [
    400,
    { code: 'same_account', param: 'to', message: 'from and to are the same account.' },
  ],
  ERR_AMOUNT_OVERFLOW: () => [
    400,
    {
      code: 'amount_too_large',
      param: 'amount',
      message: 'A balance would be beyond 2^63 micro-credits.',
    },
  ],
  ERR_IDEMPOTENCY_CONFLICT: () => [
    422,
    {
      code: 'idempotency_key_reused',
      param: 'Idempotency-Key',
      message: 'This key was used for something else.',
    },
  ],
};

/** @param {string} path @param {string | null} [member] */
function within(path, member) {
  return member ? `${path}.${member}` : path;
}

/**
 * @param {any} error
 * @returns {unknown} an HttpError for a refusal, else the given error
 */
export function refusalOf(error) {
  const refuse = REFUSALS[error?.code];
  if (refuse === undefined || error instanceof HttpError) return error;
  const { available, index } = error;
  const [status, fields] = refuse(error);
  const { param } = fields;
  // Index of the refused transfer among linked ones.
  const at = index === undefined ? {} : { param: within(`transfers[${index}]`, param) };
  const refused = new HttpError(status, { ...fields, ...at, cause: error });
  return available === undefined ? refused : Object.assign(refused, { available });
}
