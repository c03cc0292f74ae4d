/** `sluice serve`: the HTTP server and its page, until a signal ends it. */
import { randomBytes } from 'node:crypto';
import { UsageError, configFlag, describeFlags, flagsFrom, optionsFrom } from './flags.js';
import { CLOSE_OPTIONS } from '../gateway/option-table.js';
import { LISTEN_OPTIONS } from '../http/listen-options.js';
import { checkJobRequest } from '../jobs/request.js';
import { accessMembers, findAccessProblem } from '../jobs/policy/config.js';
import { pointerTo } from '../internal/util/request-schema.js';
import {
  checkProviderFlags,
  checkRedisFlags,
  createGateway,
  gatewayFlags,
  providerFlags,
  routeMembers,
  splitMembers,
  webhookMembers,
} from './provider-flags.js';
import { createLogger, flushLog } from '../internal/util/logger.js';
import { isHostName, isLoopback } from '../internal/util/hosts.js';
import { noteInterrupt } from './output.js';
import { reloadOnHangup } from './sighup.js';
import { warnOfUpstreams } from './checks/upstream.js';

const { port, ...listenFlags } = flagsFrom(LISTEN_OPTIONS, { fillIn: true });

const PORT_DEFAULT = 8080;
const ADMIN_TOKEN_BYTES = 24;

/** @type {import('./flags.js').Flags} */
export const flags = {
  port: { ...port, default: PORT_DEFAULT, defaultText: `PORT, else ${PORT_DEFAULT}`, env: 'PORT' },
  ...listenFlags,
  'allowed-hosts': {
    type: 'string',
    value: 'NAMES',
    help: 'without keys, further names that callers may use for this machine, separated by commas',
  },
  'admin-open': {
    type: 'boolean',
    help: 'without keys, let callers on this machine make admin calls without the admin token',
    default: false,
  },
  ...providerFlags,
  ...gatewayFlags,
  ...flagsFrom(CLOSE_OPTIONS, { fillIn: true }),
  ...configFlag,
};

export const summary = 'serve the HTTP API and the demo page';

export const help = `Usage: sluice serve [options]

Serves the HTTP API and the demo page. Prints "listening on URL" when ready; logs go to stderr.
Without keys, admin calls take the token logged at start (admin_token) as a bearer token.
SIGTERM or SIGINT (Ctrl-C) drains and exits with 0, a second one exits at once.
FILE may also hold keys, organisations, models, limits, prices, accounts, cors_origins,
stream_url_ttl_s and stream_url_secret (see docs/access.md, docs/credits.md), upstreams and fallbacks
(see docs/upstreams.md); SIGHUP reloads these. It may also hold webhooks and webhook_urls (see
docs/webhooks.md). "sluice key" makes a key.
Without --upstream, OPENAI_BASE_URL is read; the key of the upstream is read from OPENAI_API_KEY.

${describeFlags(flags)}
`;

/** Time for the process to exit by itself after everything is closed. */
const EXIT_GRACE_MS = 1000;

/**
 * Resolves at the first SIGTERM or SIGINT; a second one ends the process.
 * @param {object} options
 * @param {number} options.drainMs
 * @param {import('../internal/util/logger.js').Logger} options.logger
 * @returns {Promise<void>}
 */
function signalled({ drainMs, logger }) {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (/** @type {string} */ name, /** @type {number} */ number) => {
      signals += 1;
      if (signals > 1) process.exit(128 + number);
      // JSON for a service manager, a sentence for a person at a terminal.
      if (name === 'SIGINT') noteInterrupt(`draining for up to ${drainMs / 1000} s`);
      else logger.info({ signal: name, drain_ms: drainMs }, 'draining');
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/**
 * @param {any} error of `listen`
 * @param {Record<string, any>} values of the flags
 * @returns {unknown} an error with a message for the command line
 */
function listenProblem(error, { host, port: wanted }) {
  const { code } = Object(error);
  const messages = {
    EADDRINUSE: `Port ${wanted} is in use; try --port 0 (EADDRINUSE)`,
    EACCES: `Port ${wanted} needs more privileges; try --port ${PORT_DEFAULT} (EACCES)`,
    EADDRNOTAVAIL: `--host ${host} is no address of this machine (EADDRNOTAVAIL)`,
    ENOTFOUND: `--host ${host} cannot be resolved (ENOTFOUND)`,
  };
  if (!Object.hasOwn(messages, code)) return error;
  return new Error(messages[/** @type {keyof typeof messages} */ (code)], { cause: error });
}

export const parsing = {
  members: {
    names: [...accessMembers, ...routeMembers.names, ...webhookMembers.names],
    findProblem,
  },
};

/** @param {import('./flags.js').Parsed} parsed */
export const settingsOf = ({ values, members }) => ({ values, ...splitMembers(members) });

/** @param {Record<string, unknown>} members @returns {string | undefined} */
function findProblem(members) {
  const { upstreams: _, fallbacks: _others, webhooks, webhook_urls, ...access } = members;
  const problem =
    findAccessProblem(access) ?? webhookMembers.findProblem({ webhooks, webhook_urls });
  if (problem !== undefined) return `${pointerTo(problem.path)} ${problem.says}`;
  return routeMembers.findProblem(members);
}

/**
 * Without keys, calls forwarded by a proxy on this machine look like calls from this machine.
 * @param {{keys?: unknown}} access
 * @param {Record<string, any>} values of the flags
 * @returns {string | undefined} undefined: admin calls need a key, or no token is wanted
 */
function adminTokenFor(access, { adminOpen }) {
  if (access.keys !== undefined || adminOpen) return undefined;
  return randomBytes(ADMIN_TOKEN_BYTES).toString('base64url');
}

/** @param {string} list names separated by commas */
function namesIn(list) {
  const names = list === '' ? [] : list.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !isHostName(name));
  if (wrong === undefined) return names;
  throw new UsageError(
    `--allowed-hosts takes names separated by commas, not ${JSON.stringify(wrong)}`,
  );
}

/**
 * @param {Record<string, any>} values of the flags
 * @param {{keys?: unknown}} access members of the configuration file
 * @param {import('../providers/route/options.js').RouteConfig | undefined} route
 * @throws {UsageError} for conflicting flags
 */
export function checkServe(values, access, route) {
  checkProviderFlags(values, route);
  checkRedisFlags(values);
  namesIn(values.allowedHosts ?? '');
  if (access.keys !== undefined || values.open || isLoopback(values.host)) return;
  const others = `--host ${values.host} lets others in`;
  throw new UsageError(
    `${others}: it needs keys (in --config), or --open to allow unauthenticated access`,
  );
}

/**
 * @param {import('./flags.js').Parsed} parsed
 * @param {{read: () => import('./flags.js').Parsed}} context
 * @returns {Promise<number>} exit code
 */
export async function run(parsed, { read: readAgain }) {
  const { values, access, route, webhooks } = settingsOf(parsed);
  checkServe(values, access, route);
  const allowedHosts = namesIn(values.allowedHosts ?? '');
  const logger = createLogger();
  const own = {
    access,
    configFile: values.config,
    logger,
    metrics: { processDefaults: true },
    ...webhooks,
  };
  const { gateway, options } = await createGateway(values, own, route);
  const { provider } = options;
  const stop = signalled({ drainMs: values.drainMs, logger });
  // Without a file there is nothing to reload, and SIGHUP keeps its default action.
  if (values.config !== undefined) {
    const read = () => settingsOf(readAgain());
    reloadOnHangup({ gateway, provider, logger, values, webhooks, read });
  }
  try {
    const adminToken = adminTokenFor(access, values);
    const listening = { ...optionsFrom(LISTEN_OPTIONS, values), allowedHosts, adminToken };
    const checked = warnOfUpstreams(provider, { route, logger });
    const server = await gateway.listen(listening);
    await checked;
    if (adminToken !== undefined) {
      const fields = { admin_token: adminToken, admin_page: `${server.url}/admin` };
      logger.info(fields, 'admin calls take this token as Bearer');
    }
    logger.info({ max_connections: server.maxConnections }, 'limit of connections');
    // The parent process may read this line and then close the pipe.
    process.stdout.on('error', () => {});
    flushLog();
    process.stdout.write(`listening on ${server.url}\n`);
    // Load Ajv and compile the schema of jobs before the first job needs them.
    setImmediate(() => checkJobRequest({ prompt: 'x' }));
  } catch (error) {
    await gateway.close({ drainMs: 0 });
    throw listenProblem(error, values);
  }
  await stop;
  await gateway.close({ drainMs: values.drainMs });
  // A handle left open by a provider must not delay a deployment.
  setTimeout(() => process.exit(0), EXIT_GRACE_MS).unref();
  return 0;
}
