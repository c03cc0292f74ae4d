/** Options of idempotency keys and of answers that jobs share. */

const MIB = 2 ** 20;
const DAY_MS = 24 * 3600 * 1000;
const MANY = 1_000_000;

/** @type {readonly import('../../internal/util/option-table.js').OptionRow[]} */
export const SHARING_OPTIONS = Object.freeze([
  {
    path: 'idempotency.ttlMs',
    type: 'milliseconds',
    default: DAY_MS,
    flag: 'idempotency-ttl-ms',
    help: 'time that an idempotency key is kept',
  },
  {
    path: 'idempotency.maxKeys',
    type: 'integer',
    unit: 'keys',
    default: MANY,
    flag: 'idempotency-max-keys',
    help: 'idempotency keys kept; further ones are refused with 507',
    more: 'With access keys, one caller may use half of them.',
  },
  {
    path: 'cache.mode',
    type: 'choice',
    choices: ['off', 'auto'],
    default: 'auto',
    flag: 'cache',
    help: 'share answers between identical prompts: `auto` at temperature 0, and for jobs that request it',
  },
  {
    path: 'cache.scope',
    type: 'choice',
    choices: ['principal', 'organisation', 'global'],
    default: 'principal',
    flag: 'cache-scope',
    help: 'callers that share answers: each key alone, the keys of one organisation, or all',
  },
  {
    path: 'cache.maxEntries',
    type: 'integer',
    unit: 'answers',
    max: MANY,
    default: 10_000,
    flag: 'cache-max-entries',
    help: 'finished answers kept for sharing',
  },
  {
    path: 'cache.maxBytes',
    type: 'integer',
    unit: 'bytes',
    default: 64 * MIB,
    flag: 'cache-max-bytes',
    help: 'size of all finished answers kept for sharing',
  },
  {
    path: 'cache.ttlMs',
    type: 'milliseconds',
    infinite: true,
    default: 300_000,
    flag: 'cache-ttl-ms',
    help: 'time for which a finished answer may be shared',
  },
  {
    path: 'cache.maxJoined',
    type: 'integer',
    unit: 'jobs',
    default: 10_000,
    flag: 'cache-max-joined',
    help: 'jobs that share running answers of other jobs; further ones are refused as overloaded',
  },
]);
