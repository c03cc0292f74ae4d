/** Runs the rules one after the other. */
import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { Context } from './context.js';
import { Skip } from './wire/failure.js';
import { checkOptions } from './options.js';
import { timeoutOf } from './pace.js';
import { SluiceError } from '../internal/util/errors.js';

/** @typedef {import('./options.js').Options & {timeoutMs: number}} Options */
/** @typedef {import('./rules/rule.js').Rule} Rule */

/** @typedef {import('./results.js').RuleResult} RuleResult */
/** @typedef {import('./results.js').Report} Report */

const OPTION_NAMES = /** @type {Record<string, string>} */ ({
  heartbeatMs: 'the time of silence after which the server sends a keep-alive (heartbeatMs)',
  stallMs: 'the time after which the server disconnects a stalled reader (stallMs)',
  logLimitBytes: 'the size of text that the server keeps for a job (logLimitBytes)',
  concurrency: 'the number of calls that the server makes at once (concurrency)',
  drain: 'a way to shut the server down (drain)',
});

/** The features of each fixture. @param {Options} options @returns {readonly string[]} */
function controlsOf({ adapter, upstream, echoModel }) {
  if (adapter.features.includes('producer')) return ['text', 'hand'];
  if (upstream !== undefined) return ['text', 'hand', 'bytes', 'watch'];
  return echoModel === undefined ? [] : ['text'];
}

/**
 * The reason why a rule cannot be tested in this set-up, if any.
 * @param {Rule} rule
 * @param {Options} options
 * @returns {string | undefined}
 */
function obstacle({ features = [], control, facts = [] }, options) {
  const { adapter } = options;
  const feature = features.find((one) => !adapter.features.includes(one));
  if (feature !== undefined) return `the dialect ${adapter.name} has no ${feature}`;
  if (control !== undefined && !controlsOf(options).includes(control)) {
    if (adapter.features.includes('producer')) {
      return `the dialect ${adapter.name} has no model behind it`;
    }
    return control === 'text'
      ? 'needs a known text: the upstream of the suite (upstream), or a model that echoes (echoModel)'
      : 'needs the upstream of the suite (upstream)';
  }
  const fact = facts.find((one) => options.facts[one] === undefined);
  return fact === undefined ? undefined : `needs ${OPTION_NAMES[fact]}`;
}

/**
 * @param {Rule} rule
 * @param {Options} options
 * @returns {Promise<Pick<RuleResult, 'status' | 'reason'>>}
 */
async function runRule(rule, options) {
  const reason = obstacle(rule, options);
  if (reason !== undefined) return { status: 'skipped', reason };
  const context = new Context(options);
  try {
    await rule.run(context);
    return { status: 'passed' };
  } catch (/** @type {any} */ error) {
    const status = error instanceof Skip ? 'skipped' : 'failed';
    return { status, reason: error?.message ?? String(error) };
  } finally {
    context.close();
  }
}

/** For the first connection: a short `timeoutMs` is meant for the rules. */
const CONNECT_MS = 10_000;

/** Fails at once if no server listens; otherwise each rule would wait for it. @param {{url: string}} options */
async function checkReachable({ url }) {
  const { hostname, port, protocol } = new URL(url);
  const defaultPort = protocol === 'https:' ? 443 : 80;
  const socket = net.connect(Number(port || defaultPort), hostname.replace(/^\[|\]$/g, ''));
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) });
  } catch (/** @type {any} */ error) {
    const why = error.code === 'ABORT_ERR' ? `no answer within ${CONNECT_MS} ms` : error.code;
    throw new SluiceError('ERR_CONFORMANCE_UNREACHABLE', `${url} cannot be reached (${why})`);
  } finally {
    socket.destroy();
  }
}

/**
 * Tests a server of resumable streams. Each rule creates its own jobs and connections; a rule that cannot be tested
 * with the given options is reported as skipped, with the reason.
 * @param {import('./options.js').ConformanceOptions} options an unknown or wrong one throws a `TypeError` or
 *   `RangeError`; a server that does not listen a `SluiceError` with the code `ERR_CONFORMANCE_UNREACHABLE`
 * @returns {Promise<Report>}
 */
export async function runConformance(options) {
  const given = checkOptions(options);
  const { url, adapter, rules, signal, onResult } = given;
  await checkReachable(given);
  const timeoutMs = await timeoutOf(given);
  const checked = { ...given, timeoutMs };
  /** @type {RuleResult[]} */
  const results = [];
  for (const rule of rules) {
    signal?.throwIfAborted();
    const startMs = performance.now();
    const outcome = await runRule(rule, checked);
    const { id, title, source, sources } = rule;
    const durationMs = Math.round(performance.now() - startMs);
    const result = { id, title, ...outcome, source: sources?.[adapter.name] ?? source, durationMs };
    results.push(result);
    onResult(result);
  }
  const count = (/** @type {RuleResult['status']} */ wanted) =>
    results.filter(({ status }) => status === wanted).length;
  return {
    ...{ url, adapter: adapter.name, timeoutMs, results },
    ...{ passed: count('passed'), failed: count('failed'), skipped: count('skipped') },
  };
}
