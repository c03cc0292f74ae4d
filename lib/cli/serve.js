/** `sluice serve`: the HTTP server and its page, until a signal ends it. */
import { UsageError, configFlag, describeFlags, parseFlags, providerFlags } from './flags.js';
import { accessMembers, findAccessProblem } from '../jobs/policy/config.js';
import { createGateway } from './create-gateway.js';
import { createLogger } from '../internal/util/logger.js';
import { isHostName, isLoopback } from '../internal/util/hosts.js';
import { reloadOnHangup } from './sighup.js';

/** @type {import('./flags.js').Flags} */
const flags = {
  port: { type: 'integer', max: 65_535, fallback: 8080, help: '0 picks a free one' },
  host: { type: 'string', value: 'NAME', fallback: '127.0.0.1', help: 'address to listen on' },
  open: {
    type: 'boolean',
    fallback: false,
    help: 'without keys, let everybody in who reaches an address that others reach',
  },
  'allowed-hosts': {
    type: 'string',
    value: 'NAMES',
    help: 'without keys, further names that callers may use for this machine, with commas between',
  },
  ...providerFlags,
  'admission-wait-ms': {
    type: 'integer',
    fallback: 1000,
    help: 'how long a prompt waits for room before it is refused with 503',
  },
  cache: {
    type: 'choice',
    choices: ['auto', 'off'],
    fallback: 'auto',
    help: 'share the answers of identical prompts at temperature 0, and where a job asks for it',
  },
  'cache-ttl-ms': {
    type: 'integer',
    fallback: 300_000,
    help: 'how long a finished answer may be shared',
  },
  'cache-scope': {
    type: 'choice',
    choices: ['principal', 'organisation', 'global'],
    fallback: 'principal',
    help: 'who shares answers: one key, those of its organisation, or everybody',
  },
  'allow-private-addresses': {
    type: 'boolean',
    fallback: false,
    help: 'let crawls connect to private, loopback and link-local addresses, too',
  },
  'log-file': {
    type: 'string',
    value: 'FILE',
    help: "a log to follow for /v1/logs, next to the server's own; of the model's engine, for one",
  },
  data: {
    type: 'string',
    value: 'FILE',
    help: 'keep jobs, idempotency keys, /v1/kv and the ledger in this file over restarts',
  },
  'max-connections': {
    type: 'integer',
    min: 1,
    help: 'connections at once; default what the limit of open files leaves after a reserve',
  },
  'max-connections-per-address': {
    type: 'integer',
    min: 1,
    help: 'connections of one client address; default no limit, for proxies share one',
  },
  'memory-budget-bytes': {
    type: 'integer',
    min: 1 << 20,
    max: Number.MAX_SAFE_INTEGER,
    help: 'content held in memory; default a quarter of the memory, at most 2 GiB',
  },
  'drain-ms': {
    type: 'integer',
    fallback: 10_000,
    help: 'how long running jobs may go on after SIGTERM or SIGINT',
  },
  ...configFlag,
};

export const summary = 'serve the HTTP API and the demo page';

export const help = `Usage: sluice serve [options]

Serves the HTTP API and the demo page. Prints "listening on URL" when ready; logs go to stderr.
SIGTERM or SIGINT drains and exits with 0, a second one exits at once.
FILE may also hold keys, organisations, models, limits, prices, accounts, cors_origins,
stream_url_ttl_s and stream_url_secret (see docs/access.md, docs/credits.md); SIGHUP reads those
again. "sluice key" makes a key.
An API key for --provider openai is read from OPENAI_API_KEY.

${describeFlags(flags)}
`;

/** How long the process may take to end by itself once everything is closed. */
const kExitGraceMs = 1000;

/**
 * Resolves when the first signal has arrived.
 * @returns {Promise<void>}
 */
function signalled() {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (/** @type {string} */ _name, /** @type {number} */ number) => {
      signals += 1;
      if (signals > 1) process.exit(128 + number);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** @param {string[]} argv */
function parse(argv) {
  const members = { names: accessMembers, findProblem: findAccessProblem };
  return parseFlags(flags, argv, { members });
}

/** @param {string} list names with commas between */
function namesIn(list) {
  const names = list === '' ? [] : list.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !isHostName(name));
  if (wrong === undefined) return names;
  throw new UsageError(
    `--allowed-hosts takes names with commas between, not ${JSON.stringify(wrong)}`,
  );
}

/**
 * @param {string[]} argv
 * @returns {Promise<number>} exit code
 */
export async function run(argv) {
  const read = () => parse(argv);
  const parsed = read();
  if (parsed.help) {
    process.stdout.write(help);
    return 0;
  }
  const { values, members: access } = parsed;
  if (access.keys === undefined && !values.open && !isLoopback(values.host)) {
    const others = `--host ${values.host} lets others in`;
    throw new UsageError(`${others}: it needs keys (in --config), or --open for everybody`);
  }
  const allowedHosts = namesIn(values.allowedHosts ?? '');
  const logger = createLogger();
  const gateway = await createGateway(values, {
    access,
    logger,
    admissionWaitMs: values.admissionWaitMs,
    cache: { mode: values.cache, ttlMs: values.cacheTtlMs, scope: values.cacheScope },
    crawl: { allowPrivateAddresses: values.allowPrivateAddresses },
    data: values.data,
    memoryBudgetBytes: values.memoryBudgetBytes,
    metrics: { processDefaults: true },
    logs: values.logFile === undefined ? undefined : { files: [values.logFile] },
  });
  const stop = signalled();
  // Without a file there is nothing to read again, and SIGHUP means what it always does.
  if (values.config !== undefined) reloadOnHangup({ gateway, logger, values, read });
  try {
    const server = await gateway.listen({
      port: values.port,
      host: values.host,
      open: values.open,
      allowedHosts,
      maxConnections: values.maxConnections,
      maxConnectionsPerAddress: values.maxConnectionsPerAddress,
    });
    // Whoever started us may read this one line and close the pipe.
    process.stdout.on('error', () => {});
    process.stdout.write(`listening on ${server.url}\n`);
  } catch (error) {
    await gateway.close({ drainMs: 0 });
    throw error;
  }
  await stop;
  await gateway.close({ drainMs: values.drainMs });
  // Nothing should be left to wait for; if something is, that must not keep a deployment waiting.
  setTimeout(() => process.exit(0), kExitGraceMs).unref();
  return 0;
}
