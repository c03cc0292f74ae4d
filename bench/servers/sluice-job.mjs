/**
 * Sluice for the job row: the prompt is the number of tokens of a job, produced at once. The
 * mode is the first argument: `bare` has no keys, limits or log; `full` has all of them.
 */
import { createHash } from 'node:crypto';
import { createGateway } from '../../lib/index.js';
import { burst } from '../lib/token.mjs';

/** Nobody is refused: the row measures the cost of admission. */
const PLENTY = 2 ** 31 - 1;

const full = {
  access: {
    keys: [{ id: 'bench', sha256: createHash('sha256').update('secret').digest('hex') }],
    limits: { requests_per_minute: PLENTY, tokens_per_minute: PLENTY, concurrent_jobs: PLENTY },
  },
  idempotency: { maxKeys: 10_000_000 },
};
const gateway = createGateway({
  provider: (/** @type {{prompt?: string}} */ { prompt }) => burst(Number(prompt)),
  maxConcurrency: 1000,
  incomingCapacity: 10_000,
  maxRetainedJobs: 1000,
  ...(process.argv[2] === 'full' ? full : { logger: false }),
});
const server = await gateway.listen({ port: 0 });
console.log(`listening on ${server.url}`);
