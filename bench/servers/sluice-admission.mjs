/**
 * Sluice as the admission row measures it: its jobs have one token. The mode is the first
 * argument: `open` has no keys, no limits and no cache; the others add the feature of their name, each
 * to the features of the previous mode.
 */
import { createHash } from 'node:crypto';
import { createGateway } from '../../lib/index.js';

/** No request is refused: the row measures the cost of admission. */
const PLENTY = 2 ** 31 - 1;
const limits = {
  requests_per_minute: PLENTY,
  tokens_per_minute: PLENTY,
  concurrent_jobs: PLENTY,
};

const keys = Array.from({ length: 1000 }, (_, i) => ({
  id: `key-${i}`,
  sha256: createHash('sha256').update(`secret-${i}`).digest('hex'),
  organisation: 'bench',
}));

async function* word() {
  yield 'word';
}

const mode = process.argv[2];
const access = {
  open: undefined,
  keys: { keys },
  limits: { keys, limits },
  shared: {
    keys,
    limits,
    organisations: { bench: { limits } },
    models: { word: { limits } },
    endpoints: { '/v1/jobs': { limits } },
  },
};
const gateway = createGateway({
  provider: word,
  maxConcurrency: 1000,
  incomingCapacity: 10_000,
  maxRetainedJobs: 1000,
  access: access[/** @type {'open'} */ (mode === 'cache' ? 'shared' : mode)],
  cache: { mode: mode === 'cache' ? 'auto' : 'off', scope: 'global' },
  logger: false,
});
const server = await gateway.listen({ port: 0 });
console.log(`listening on ${server.url}`);
