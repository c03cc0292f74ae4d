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

/**
 * @param {any} error
 * @returns {unknown} an HttpError for a refusal, else the given error
 */
export function refusalOf(error) {
  const refuse = REFUSALS[error?.code];
  if (refuse === undefined || error instanceof HttpError) return error;
  const [status, fields] = refuse(error);
  const refused = new HttpError(status, { ...fields, cause: error });
  const { available } = error;
  return available === undefined ? refused : Object.assign(refused, { available });
}
