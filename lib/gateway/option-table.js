/**
 * The options of `createGateway` and `gateway.close`. Their checks, the flags of the command line, the
 * types and the tables of the documentation are generated from these rows; `npm run docs` writes the latter.
 */
import { FACES_OPTIONS } from './options/faces.js';
import { JOBS_OPTIONS } from './options/jobs.js';
import { SERVER_OPTIONS } from './options/server.js';
import { SERVICES_OPTIONS } from './options/services.js';
import { SHARING_OPTIONS } from './options/sharing.js';
import { STREAMS_OPTIONS } from './options/streams.js';

export { MAX_CONCURRENCY } from './options/jobs.js';

/** @typedef {import('../internal/util/option-table.js').OptionRow} OptionRow */

/** @type {readonly OptionRow[]} */
export const GATEWAY_OPTIONS = Object.freeze([
  ...JOBS_OPTIONS,
  ...FACES_OPTIONS,
  ...STREAMS_OPTIONS,
  ...SHARING_OPTIONS,
  ...SERVICES_OPTIONS,
  ...SERVER_OPTIONS,
]);

/** @type {readonly OptionRow[]} */
export const CLOSE_OPTIONS = Object.freeze([
  {
    path: 'drainMs',
    type: 'milliseconds',
    default: 10_000,
    flag: 'drain-ms',
    help: 'time for running jobs to finish before they are ended as `shutdown`',
  },
]);
