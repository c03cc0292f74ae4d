/** `sluice conformance`: tests any server of resumable streams, and reports violated rules. */
import { writeFileSync } from 'node:fs';
import { UsageError, describeFlags } from './flags.js';
import { INTERRUPTED, watchInterrupts } from './output.js';
import { headersOf } from './headers.js';

/** @type {import('./flags.js').Flags} */
export const flags = {
  adapter: {
    type: 'choice',
    choices: ['sluice', 'responses', 'chat', 'messages', 'ai-sdk', 'llama.cpp', 'durable-streams'],
    value: 'NAME',
    default: 'sluice',
    help: 'dialect of the server: sluice, responses, chat, messages, ai-sdk, llama.cpp or durable-streams',
  },
  only: {
    type: 'string',
    value: 'RULE',
    multiple: true,
    help: 'only this rule or group of rules (cursor/none, cursor); repeatable',
  },
  skip: {
    type: 'string',
    value: 'RULE',
    multiple: true,
    help: 'not this rule or group of rules; repeatable',
  },
  header: {
    type: 'string',
    value: '"NAME: VALUE"',
    multiple: true,
    help: 'a header of each request; repeatable',
  },
  'upstream-port': {
    type: 'integer',
    max: 65_535,
    help: 'serve the model of the suite on this port; the server under test must use http://127.0.0.1:N/v1',
  },
  'upstream-host': {
    type: 'string',
    value: 'ADDRESS',
    default: '127.0.0.1',
    help: 'address of the model of the suite',
  },
  'echo-model': {
    type: 'string',
    value: 'NAME',
    help: 'a model of the server that answers with its prompt, in place of the model of the suite',
  },
  model: {
    type: 'string',
    value: 'NAME',
    defaultText: 'conformance-fixture with --upstream-port, else none',
    help: 'model to request',
  },
  'timeout-ms': {
    type: 'integer',
    min: 1,
    defaultText: '10000, or 3 times the first answer of a model of the server',
    help: 'time limit of each wait',
  },
  'heartbeat-ms': {
    type: 'integer',
    min: 1,
    help: 'silence on a stream after which the server sends a keep-alive',
  },
  'stall-ms': {
    type: 'integer',
    min: 1,
    help: 'time without progress after which the server disconnects a reader',
  },
  'log-limit-bytes': {
    type: 'integer',
    min: 1,
    help: 'size of the text that the server keeps per job',
  },
  concurrency: {
    type: 'integer',
    min: 1,
    max: 1000,
    help: 'concurrent calls of the model by the server',
  },
  'drain-pid': {
    type: 'integer',
    min: 1,
    help: 'process of the server, which gets SIGTERM in the last rule and must then drain and exit',
  },
  format: {
    type: 'choice',
    choices: ['text', 'json', 'junit'],
    default: 'text',
    help: 'format of the report',
  },
  output: {
    type: 'string',
    value: 'FILE',
    defaultText: 'standard output',
    help: 'file for the report',
  },
  list: {
    type: 'boolean',
    default: false,
    help: 'list the rules with their sources, without a test',
  },
};

export const summary = 'test a server of resumable streams';

export const help = `Usage: sluice conformance URL [options]

Tests the server at URL rule by rule: frames, cursors, terminal events, cancel, idempotency, fan-in, readers that leave
or stop reading. A rule that cannot be tested with the given options is reported as skipped, with the reason.
The exit code is 0 if no rule failed, 1 if one did or none could be tested, 2 for a wrong option.

${describeFlags(flags)}
`;

/** @typedef {typeof import('../conformance/index.js')} Suite */

/** @param {Suite} suite @param {string} format */
function listRules({ rules }, format) {
  if (format === 'json') return `${JSON.stringify(rules, null, 2)}\n`;
  return rules
    .map(({ id, title, source }) => `${id.padEnd(30)}${title}\n${' '.repeat(30)}${source.title}\n`)
    .join('');
}

/** @param {Suite} suite @param {import('../conformance/results.js').Report} report @param {string} format */
function render(suite, report, format) {
  if (format === 'json') return `${JSON.stringify(report, null, 2)}\n`;
  return format === 'junit' ? suite.toJunit(report) : suite.toText(report);
}

/** @param {string | undefined} path @param {string} text */
function write(path, text) {
  if (path === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(path, text);
  } catch (/** @type {any} */ error) {
    throw new UsageError(`${path} cannot be written (${error.code})`);
  }
}

/**
 * @param {string} url
 * @param {Record<string, any>} values of the flags
 * @returns {import('../conformance/options.js').ConformanceOptions}
 */
function optionsOf(url, values) {
  const { adapter, only, skip, header = [], echoModel, model, timeoutMs } = values;
  const { heartbeatMs, stallMs, logLimitBytes, concurrency, drainPid } = values;
  const headers = headersOf(header);
  const drain = drainPid === undefined ? undefined : () => process.kill(drainPid, 'SIGTERM');
  return {
    ...{ url, adapter, only, skip, headers, echoModel, model, timeoutMs },
    ...{ heartbeatMs, stallMs, logLimitBytes, concurrency, drain },
  };
}

/** Replaces the JavaScript option at the beginning of a message by its flag. @param {string} message */
function asFlag(message) {
  return message
    .replace(/^url /, 'URL ')
    .replace(/^(only|skip|adapter|model) /, '--$1 ')
    .replace(/^echoModel /, '--echo-model ')
    .replace(' upstream ', ' --upstream-port ');
}

/**
 * @param {Suite} suite
 * @param {import('../conformance/options.js').ConformanceOptions} options
 */
async function test(suite, options) {
  try {
    return await suite.runConformance(options);
  } catch (/** @type {any} */ error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(asFlag(error.message));
    }
    throw error;
  }
}

/** @param {Suite} suite @param {Record<string, any>} values */
async function startUpstream(suite, { upstreamPort, upstreamHost }) {
  if (upstreamPort === undefined) return undefined;
  try {
    return await suite.startFixtureUpstream({ port: upstreamPort, host: upstreamHost });
  } catch (/** @type {any} */ error) {
    throw new UsageError(`--upstream-port ${upstreamPort} cannot be used (${error.code})`);
  }
}

export const parsing = { positionals: true };

/**
 * @param {import('./flags.js').Parsed} parsed
 * @returns {Promise<number>} exit code
 */
export async function run({ positionals, values }) {
  const suite = await import('../conformance/index.js');
  if (values.list) {
    write(values.output, listRules(suite, values.format));
    return 0;
  }
  if (positionals.length !== 1) throw new UsageError('conformance takes one URL');
  const options = optionsOf(positionals[0], values);
  const live = values.format === 'text' && values.output === undefined;
  const onResult = (/** @type {any} */ result) => {
    if (live) process.stdout.write(suite.resultText(result));
  };
  const interrupts = watchInterrupts(undefined, 'stopping after this rule');
  const upstream = await startUpstream(suite, values);
  try {
    const report = await test(suite, { ...options, upstream, onResult, signal: interrupts.signal });
    if (live) process.stdout.write(suite.summaryText(report));
    else write(values.output, render(suite, report, values.format));
    return report.failed > 0 || report.passed === 0 ? 1 : 0;
  } catch (error) {
    if (interrupts.signal.aborted) return INTERRUPTED;
    throw error;
  } finally {
    interrupts.release();
    await upstream?.close();
  }
}
