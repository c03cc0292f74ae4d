/** `sluice doctor`: checks whether `sluice serve` with the same flags would work on this machine. */
import { flags as serveFlags, checkServe, settingsOf } from './serve.js';
import { describeFlags } from './flags.js';
import {
  checkAddon,
  checkData,
  checkFiles,
  checkLibcurl,
  checkModelFile,
  checkNode,
  checkPort,
  checkUpstream,
} from './checks/system.js';
import { RedisChecks } from './checks/redis.js';
import { completed } from './provider-flags.js';

export { parsing } from './serve.js';

/** @typedef {import('./checks/system.js').Finding} Finding */

const USED = [
  ...['port', 'host', 'open', 'provider', 'upstream', 'model', 'data', 'redis', 'redis-prefix'],
  'config',
];

export const summary = 'check that a server would work here';

/** Flags in the help. @type {import('./flags.js').Flags} */
export const shown = {
  ...Object.fromEntries(USED.map((name) => [name, serveFlags[name]])),
  json: { type: 'boolean', help: 'JSON instead of text', default: false },
};

/** Also the flags of serve, so that its command line can be passed unchanged. @type {import('./flags.js').Flags} */
export const flags = { ...serveFlags, ...shown };

export const help = `Usage: sluice doctor [options]

Checks Node, the addon, the port, the limit of open files, the upstreams with their keys and models,
and the data file or the Redis server, for "sluice serve" with the same options (it takes all of them).
Names the fix for each problem. Changes nothing. Exit code 1 if a server would not work. An API key is read from OPENAI_API_KEY.

${describeFlags(shown)}
`;

const MARKS = Object.freeze({ ok: 'ok', warning: 'warning', problem: 'PROBLEM' });

/** @typedef {[name: string, check: () => Finding | Promise<Finding>]} Check */

/**
 * @param {import('../providers/route/options.js').UpstreamConfig} config
 * @returns {Check}
 */
function routeCheck({ name, base_url: baseUrl, api_key: key, api_key_env: variable, ...rest }) {
  const { dialect, headers, query, models = [] } = rest;
  const names = Array.isArray(models) ? models : Object.values(models);
  const apiKey = key ?? (variable === undefined ? undefined : process.env[variable] || undefined);
  const upstream = {
    ...{ baseUrl, apiKey, dialect, headers, query },
    keyName: variable ?? `the api_key of ${name}`,
    // A pattern is not the name of a model.
    models: names.filter((model) => !model.includes('*')),
  };
  return [name, () => checkUpstream(upstream)];
}

/**
 * @param {Record<string, any>} values of the flags
 * @param {import('../providers/route/options.js').RouteConfig | undefined} route
 * @param {RedisChecks | undefined} redis
 * @returns {Check[]}
 */
function checksFor(values, route, redis) {
  const { provider, upstream, model } = completed(values);
  const { data } = values;
  /** @type {Check[]} */
  const checks = [
    ['node', () => checkNode()],
    ['addon', checkAddon],
    ['files', () => checkFiles()],
    ['port', () => checkPort(values)],
  ];
  if (route !== undefined) {
    checks.push(['libcurl', checkLibcurl], ...route.upstreams.map(routeCheck));
  } else if (provider === 'openai') {
    const apiKey = process.env.OPENAI_API_KEY || undefined;
    const models = model === undefined ? [] : [model];
    const own = { baseUrl: upstream, apiKey, keyName: 'OPENAI_API_KEY', models };
    checks.push(['libcurl', checkLibcurl], ['upstream', () => checkUpstream(own)]);
  }
  if (provider === 'llama') checks.push(['model', () => checkModelFile(values)]);
  if (data !== undefined) checks.push(['data', () => checkData(values)]);
  if (redis !== undefined) checks.push(...redis.all);
  return checks;
}

/** @param {string} name @param {Finding} finding @returns {string} */
function lineOf(name, { level, message, advice }) {
  const line = `${MARKS[level].padEnd(9)}${name.padEnd(10)}${message}\n`;
  return advice === undefined ? line : `${line}${' '.repeat(19)}${advice}\n`;
}

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run(parsed) {
  const { values, access, route } = settingsOf(parsed);
  checkServe(values, access, route);
  /** @type {(Finding & {check: string})[]} */
  const findings = [];
  const redis = values.redis === undefined ? undefined : new RedisChecks(values);
  for (const [check, find] of checksFor(values, route, redis)) {
    const finding = await find();
    findings.push({ check, ...finding });
    if (!values.json) process.stdout.write(lineOf(check, finding));
  }
  redis?.close();
  if (values.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
}
