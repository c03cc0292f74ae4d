/** The options of a run, checked. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { ADAPTERS } from './adapters/index.js';
import { RULES, groupOf } from './rules/index.js';
import { checkInteger, checkMs } from '../internal/util/validate.js';
import { rangeError, typeError } from '../internal/util/errors.js';

/** @typedef {import('./settings.js').Facts} Facts */

/**
 * @typedef {object} OwnOptions
 * @property {string} url of the server; without a path, the default path of the dialect follows
 * @property {string} [adapter] dialect of the server: a name of `adapters`; default `sluice`
 * @property {string[]} [only] ids of rules, or their groups (`cursor`); default: all rules
 * @property {string[]} [skip] ids of rules, or their groups
 * @property {Record<string, string>} [headers] of every request, for example `authorization`
 * @property {import('./fixtures/upstream.js').FixtureUpstream} [upstream] model of the server, from
 *   `startFixtureUpstream()`; default: none, and the rules that need it are skipped
 * @property {string} [echoModel] a model of the server that answers with its prompt; not beside `upstream`
 * @property {string} [model] of all submissions; default: that of the fixture, else the server's own
 * @property {number} [timeoutMs] time limit of each wait; default 10000, or more if the first answer of the
 *   server's own model takes long
 * @property {(result: import('./results.js').RuleResult) => void} [onResult] called after each rule
 * @property {AbortSignal} [signal] ends the run before its next rule
 */

/** @typedef {OwnOptions & Facts} ConformanceOptions */

/** @typedef {Omit<import('./settings.js').Settings, 'timeoutMs'> & {timeoutMs: number | undefined, rules: readonly import('./rules/rule.js').Rule[],
 *   onResult: (result: import('./results.js').RuleResult) => void, signal: AbortSignal | undefined}} Options
 *   checked */

const NAMES = Object.freeze([
  ...['url', 'adapter', 'only', 'skip', 'headers', 'upstream', 'echoModel', 'model', 'timeoutMs'],
  ...['onResult', 'signal', 'heartbeatMs', 'stallMs', 'logLimitBytes', 'concurrency', 'drain'],
]);

/** @param {string} name @param {unknown} value @returns {string[]} */
function checkPatterns(name, value) {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw typeError(`${name} takes an array of rule ids`);
  for (const pattern of value) {
    if (!RULES.some((rule) => matches(rule, pattern))) {
      throw rangeError(`${name} names a rule or a group, not ${JSON.stringify(pattern)}`);
    }
  }
  return value;
}

/** @param {import('./rules/rule.js').Rule} rule @param {string} pattern */
function matches(rule, pattern) {
  return pattern === rule.id || pattern === groupOf(rule);
}

/** @param {string} url */
function checkUrl(url) {
  if (typeof url === 'string' && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) {
    return;
  }
  throw typeError(`url takes an http or https URL, not ${JSON.stringify(url)}`);
}

/** @param {string} name @param {unknown} value */
function checkString(name, value) {
  if (value === undefined || (typeof value === 'string' && value !== '')) return;
  throw typeError(`${name} takes a non-empty string`);
}

/** @param {unknown} headers */
function checkHeaders(headers) {
  if (typeof headers !== 'object' || headers === null) throw typeError('headers takes an object');
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      throw typeError(`headers has no valid name or value at ${JSON.stringify(name)}`);
    }
  }
}

/** @param {Record<string, any>} options @returns {Facts} */
function checkFacts({ heartbeatMs, stallMs, logLimitBytes, concurrency, drain }) {
  if (heartbeatMs !== undefined) checkMs('heartbeatMs', heartbeatMs, { min: 1 });
  if (stallMs !== undefined) checkMs('stallMs', stallMs, { min: 1 });
  if (logLimitBytes !== undefined) checkInteger('logLimitBytes', logLimitBytes);
  if (concurrency !== undefined) checkInteger('concurrency', concurrency, { max: 1000 });
  if (drain !== undefined && typeof drain !== 'function') throw typeError('drain takes a function');
  return { heartbeatMs, stallMs, logLimitBytes, concurrency, drain };
}

/**
 * @param {ConformanceOptions} options
 * @returns {Options}
 */
export function checkOptions(options) {
  if (typeof options !== 'object' || options === null) throw typeError('options takes an object');
  const unknown = Object.keys(options).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) throw typeError(`${unknown} is not an option of runConformance`);
  const { url, adapter: name = 'sluice', headers = {}, upstream, echoModel, model } = options;
  checkUrl(url);
  checkHeaders(headers);
  const adapter = ADAPTERS.find((one) => one.name === name);
  if (adapter === undefined) {
    const known = ADAPTERS.map((one) => one.name).join(', ');
    throw rangeError(`adapter takes ${known}, not ${JSON.stringify(name)}`);
  }
  checkString('echoModel', echoModel);
  checkString('model', model);
  if (upstream !== undefined && echoModel !== undefined) {
    throw typeError('echoModel and upstream exclude each other');
  }
  if (upstream !== undefined && typeof upstream.source !== 'function') {
    throw typeError('upstream takes what startFixtureUpstream() returns');
  }
  const only = checkPatterns('only', options.only);
  const skip = checkPatterns('skip', options.skip);
  const rules = RULES.filter(
    (rule) =>
      (only.length === 0 || only.some((pattern) => matches(rule, pattern))) &&
      !skip.some((pattern) => matches(rule, pattern)),
  );
  return {
    ...{ url, adapter, rules, headers, upstream, echoModel, model },
    timeoutMs:
      options.timeoutMs === undefined
        ? undefined
        : checkMs('timeoutMs', options.timeoutMs, { min: 1 }),
    facts: checkFacts(options),
    onResult: options.onResult ?? (() => {}),
    signal: options.signal,
  };
}
